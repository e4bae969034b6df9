"""What training minimises, by the kind of network. All take the network's raw outputs and the true scenes.

    scores        focal loss over all anchors, divided by the number of anchors that have an object
    boxes         smooth L1 of the encoded box, at those anchors
    masks         binary cross entropy of the assembled mask inside the true box, divided by the box's area
    segmentation  cross entropy of each pixel, after bilinear enlarging to the image

An anchor has the object that it overlaps most, if by 0.5 of their union; from 0.4 it counts for nothing. The
best anchor of an object always has it, because there is one anchor side for a stride and small digits would
otherwise have none (arXiv:1506.01497, section 3.1.2).

Source    focal loss and matching arXiv:1708.02002, sections 3.2 and 4.1; smooth L1 arXiv:1504.08083;
          boxes arXiv:1512.02325, encoded as boxes/decode.py decodes; masks arXiv:1904.02689, section 3.2
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from examples.scenes.data import Scene
from mocovit_deploy.boxes.decode import SCALES
from mocovit_deploy.models.heads.instances import PROTOTYPE_STRIDE

SAME, OTHER = 0.5, 0.4
ALPHA, GAMMA = 0.25, 2.0
MASK_WEIGHT = 6.125
"""The paper's."""
NOTHING, EITHER = -1, -2

Outputs = Mapping[str, Tensor]


def matches(priors: Tensor, boxes: Tensor) -> Tensor:
    """The object of each anchor, (anchors,), a position in `boxes`; `NOTHING`, or `EITHER` if it is unclear.

    `priors` (anchors, 4) are centre y, centre x, height and width; `boxes` (n, 4) are top, left, bottom and
    right, in the same unit.
    """
    if not len(boxes):
        return torch.full((len(priors),), NOTHING)
    corners = torch.cat([priors[:, :2] - priors[:, 2:] / 2, priors[:, :2] + priors[:, 2:] / 2], dim=1)
    inner = torch.minimum(corners[:, None, 2:], boxes[:, 2:]) - torch.maximum(
        corners[:, None, :2], boxes[:, :2]
    )
    shared = inner.clamp_min(0).prod(-1)
    area = priors[:, 2:].prod(-1)[:, None] + (boxes[:, 2:] - boxes[:, :2]).prod(-1)
    overlap = shared / (area - shared)
    best, found = overlap.max(dim=1)
    found[best < SAME] = EITHER
    found[best < OTHER] = NOTHING
    found[overlap.argmax(dim=0)] = torch.arange(len(boxes))
    return found


def encoded(boxes: Tensor, priors: Tensor) -> Tensor:
    """The locations (n, 4) that boxes (n, 4) have relative to their anchors (n, 4); see boxes/decode.py."""
    middle, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    told = torch.cat([(middle - priors[:, :2]) / priors[:, 2:], (sides / priors[:, 2:]).log()], dim=1)
    return told * torch.tensor(SCALES)


def detection_loss(outputs: Outputs, truth: Sequence[Scene], priors: Tensor) -> Tensor:
    """Of a detector's raw `scores` and `boxes`, and of its masks if it gives `coefficients`."""
    total, count = outputs["scores"].new_zeros(()), 0
    for place, scene in enumerate(truth):
        boxes = torch.from_numpy(scene.boxes) / len(scene.picture)
        found = matches(priors, boxes)
        having = found.clamp_min(NOTHING) >= 0
        owners = found[having]
        total = total + focal(outputs["scores"][place], found, torch.from_numpy(scene.labels))
        aims = encoded(boxes[owners], priors[having])
        total = total + F.smooth_l1_loss(outputs["boxes"][place][having], aims, reduction="sum") / 4
        if "coefficients" in outputs:
            coefficients = outputs["coefficients"][place][having]
            total = total + MASK_WEIGHT * mask_loss(coefficients, outputs["prototypes"][place], scene, owners)
        count += int(having.sum())
    return total / max(count, 1)


def focal(logits: Tensor, found: Tensor, labels: Tensor) -> Tensor:
    """The sum of the focal loss of logits (anchors, classes); `found` (anchors,) is that of `matches`."""
    aims = torch.zeros_like(logits)
    having = found >= 0
    aims[having.nonzero()[:, 0], labels[found[having]]] = 1
    cross = F.binary_cross_entropy_with_logits(logits, aims, reduction="none")
    wrong = (logits.sigmoid() - aims).abs()
    weight = ALPHA * aims + (1 - ALPHA) * (1 - aims)
    losses: Tensor = weight * wrong**GAMMA * cross
    return losses[found != EITHER].sum()


def mask_loss(coefficients: Tensor, prototypes: Tensor, scene: Scene, owners: Tensor) -> Tensor:
    """The sum over anchors of the mean cross entropy of their masks inside the boxes of their objects.

    `coefficients` (n, K) are those of the anchors, `prototypes` (rows, columns, K), `owners` (n,) objects.
    """
    rows, columns, _ = prototypes.shape
    masks = torch.from_numpy(scene.masks).float()[:, None]
    aims = F.avg_pool2d(masks, PROTOTYPE_STRIDE)[owners, 0].round()
    logits = torch.einsum("nk,rck->nrc", coefficients.tanh(), prototypes)
    top, left, bottom, right = (torch.from_numpy(scene.boxes) / PROTOTYPE_STRIDE)[owners].T[..., None]
    row, column = torch.arange(rows) + 0.5, torch.arange(columns) + 0.5
    inside = ((row > top) & (row < bottom))[:, :, None] & ((column > left) & (column < right))[:, None, :]
    cross = F.binary_cross_entropy_with_logits(logits, aims, reduction="none") * inside
    means: Tensor = cross.sum((1, 2)) / inside.sum((1, 2)).clamp_min(1)
    return means.sum()


def segmentation_loss(outputs: Outputs, truth: Sequence[Scene]) -> Tensor:
    """Of a segmenter's scores, (B, H/8, W/8, 1 + digits)."""
    aims = torch.stack([torch.from_numpy(scene.classes).long() for scene in truth])
    scores = outputs["segmentation"].permute(0, 3, 1, 2)
    large = F.interpolate(scores, size=aims.shape[-2:], mode="bilinear", align_corners=False)
    return F.cross_entropy(large, aims)
