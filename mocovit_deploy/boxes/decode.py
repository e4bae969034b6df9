"""Scores and locations of a detector into boxes, and the boxes worth keeping.

    y = anchor y + anchor height * location[0] / 10        h = anchor height * exp(location[2] / 5)
    x = anchor x + anchor width  * location[1] / 10        w = anchor width  * exp(location[3] / 5)

Then, class by class, the best box stays and those that overlap it by more than a share go (non-maximum
suppression), outside the file: what does it in a file keeps GPU delegates and the Neural Engine away.

Source    SSD's box coder, arXiv:1512.02325, as MediaPipe and TFLite_Detection_PostProcess read it
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.artifacts.task import DETECTION
from mocovit_deploy.boxes.anchors import Boxes, anchors_of
from mocovit_deploy.choices import BOXES
from mocovit_deploy.errors import UsageError

SCALES = (10.0, 10.0, 5.0, 5.0)
"""What locations are divided by: middle y, middle x, height, width."""
RAW, DECODED = BOXES


@dataclass(frozen=True)
class Detection:
    """One object in an image."""

    label: int
    score: float
    """From 0 to 1."""
    box: tuple[float, float, float, float]
    """Top, left, bottom and right, in parts of the image; an object at its edge may reach past 0 or 1."""


def decode_locations(locations: Array, priors: Boxes) -> Boxes:
    """(boxes, 4) locations told from anchors -> (boxes, 4): top, left, bottom, right.

    Raises `UsageError` unless there is an anchor for each location.
    """
    if locations.shape != priors.shape:
        raise UsageError(
            f"{len(locations)} locations for {len(priors)} anchors: the detector is of another image size"
        )
    told = locations.astype(np.float64) / SCALES
    middle = priors[:, :2] + told[:, :2] * priors[:, 2:]
    half = np.exp(np.minimum(told[:, 2:], 20.0)) * priors[:, 2:] / 2
    return np.concatenate([middle - half, middle + half], axis=1)


def detections(
    task: Mapping[str, Any],
    outputs: Mapping[str, Array],
    *,
    least_score: float = 0.3,
    most_overlap: float = 0.5,
    most: int = 100,
    across_classes: bool = False,
) -> tuple[Detection, ...]:
    """The objects in one image, the best first, from a file's outputs by name, batch 1.

    `task` is what the manifest says (`Artifact.task`). At most `most` are kept, of scores of at least
    `least_score`; no two of a class overlap by more than `most_overlap`, intersection over union. With
    `across_classes` an anchor has its best class alone and boxes of different classes suppress each other:
    so does MediaPipe, from an overlap of 0.3. An image without objects gives none.
    Raises `UsageError` for a task that is no detection, and for outputs of another image size.
    """
    if task.get("kind") != DETECTION:
        raise UsageError(f"the file is no detector: what it does is {task.get('kind', 'not said')}")
    names = task["outputs"]
    scores = np.asarray(outputs[names["scores"]], np.float64)[0]
    boxes = np.asarray(outputs[names["boxes"]], np.float64)[0]
    if task["boxes"] == RAW:
        scores, boxes = _sigmoid(scores), decode_locations(boxes, anchors_of(task))
    limits = (least_score, most_overlap, most)
    if across_classes:
        labels, best = scores.argmax(axis=1), scores.max(axis=1)
        kept = [(int(labels[i]), i) for i in suppressed(boxes, best, *limits)]
    else:
        columns = enumerate(scores.T)
        kept = [(label, i) for label, column in columns for i in suppressed(boxes, column, *limits)]
    found = [Detection(label, float(scores[i, label]), _corners(boxes[i])) for label, i in kept]
    return tuple(sorted(found, key=lambda one: -one.score)[:most])


def suppressed(boxes: Boxes, scores: Boxes, least_score: float, most_overlap: float, most: int) -> list[int]:
    """Which of (boxes, 4) stay, the best first; scores are (boxes,), NaN never stays."""
    order = np.flatnonzero(scores >= least_score)
    order = order[np.argsort(-scores[order], kind="stable")]
    kept: list[int] = []
    while len(order) and len(kept) < most:
        best, order = int(order[0]), order[1:]
        kept.append(best)
        order = order[overlaps(boxes[best], boxes[order]) <= most_overlap]
    return kept


def overlaps(one: Boxes, others: Boxes) -> Boxes:
    """Intersection over union of a box (4,) with each of (n, 4), (n,).

    >>> overlaps(np.array([0.0, 0.0, 2.0, 2.0]), np.array([[0.0, 1.0, 2.0, 2.0]])).tolist()
    [0.5]
    """
    inner = np.minimum(one[2:], others[:, 2:]) - np.maximum(one[:2], others[:, :2])
    shared = np.prod(np.maximum(inner, 0.0), axis=1)
    area = np.prod(one[2:] - one[:2]) + np.prod(others[:, 2:] - others[:, :2], axis=1) - shared
    return np.asarray(shared / np.maximum(area, 1e-12))


def _sigmoid(logits: Boxes) -> Boxes:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -60.0, 60.0))))


def _corners(box: Boxes) -> tuple[float, float, float, float]:
    top, left, bottom, right = (float(one) for one in box)
    return top, left, bottom, right
