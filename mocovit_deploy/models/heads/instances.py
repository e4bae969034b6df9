"""A small YOLACT: a detector that also gives a mask for every box, as a sum of prototypes that all share.

    P8 - separable - x2 - separable - 1x1 - ReLU - prototypes   (N, 2 ceil(H/8), 2 ceil(W/8), K)

    each P - 2 x separable - 1x1 - coefficients                 (N, anchors, K)

    mask of an anchor = sigmoid(sum over K of tanh(coefficient) x prototype), cut to its box

Backbone, pyramid, scores and boxes are those of the detector (`heads/detection.py`). With boxes="raw" the
network gives coefficients and prototypes, and boxes/masks.py makes the masks of the boxes that are kept.
With boxes="decoded" it gives the mask of every anchor, (N, anchors, rows, columns), from 0 to 1 and not cut:
one matrix product, but 4 MB in fp32 for an image of 128 x 128, and 39 times as much for one of 320 x 320.

Source    arXiv:1904.02689, section 3; prototypes at stride 4 and their ReLU as in section 3.1
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch.nn.functional as F
from torch import Tensor, nn

from mocovit_deploy.artifacts.task import INSTANCES
from mocovit_deploy.boxes.decode import RAW
from mocovit_deploy.models.arguments import require_positive
from mocovit_deploy.models.heads.detection import DetectionConfig, Detector, Head, separable

PROTOTYPE_STRIDE = 4


@dataclass(frozen=True)
class InstanceConfig(DetectionConfig):
    """The options of the network: those of the detector, and the number of prototypes."""

    prototypes: int = 32
    """The default is the paper's."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "prototypes")


class Prototypes(nn.Module):
    """The map at stride 8, (N, C, h, w) -> (N, 2 h, 2 w, K), none below 0."""

    def __init__(self, width: int, prototypes: int) -> None:
        super().__init__()
        self.coarse, self.fine = separable(width), separable(width)
        self.last = nn.Conv2d(width, prototypes, 1)

    def forward(self, x: Tensor) -> Tensor:
        large = F.interpolate(self.coarse(x), scale_factor=2, mode="nearest")
        made: Tensor = self.last(self.fine(large)).relu()
        return made.permute(0, 2, 3, 1)


class InstanceSegmenter(Detector):
    """A detector with masks, for images of `sides` (height, width).

    (N, 3, H, W) -> `scores` and `boxes` of the detector, and

        raw        "coefficients" (N, anchors, K) and "prototypes" (N, rows, columns, K)
        decoded    "masks" (N, anchors, rows, columns)
    """

    def __init__(
        self,
        backbone: nn.Module,
        channels: Sequence[int],
        config: InstanceConfig,
        sides: tuple[int, int],
        boxes: str = RAW,
    ) -> None:
        super().__init__(backbone, channels, config, sides, boxes)
        self.coefficients = Head(config.width, config.depth, config.prototypes)
        self.prototypes = Prototypes(config.width, config.prototypes)
        own = ("masks",) if self.decodes else ("coefficients", "prototypes")
        self.task = replace(
            self.task,
            kind=INSTANCES,
            roles=(*self.task.roles, *own),
            facts={**self.task.facts, "mask_stride": PROTOTYPE_STRIDE},
        )

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        maps = self.pyramid(self.backbone(image))
        coefficients, prototypes = self.coefficients(maps), self.prototypes(maps[0])
        if not self.decodes:
            return {**self.found(maps), "coefficients": coefficients, "prototypes": prototypes}
        batch, rows, columns, count = prototypes.shape
        places = prototypes.reshape(batch, rows * columns, count).transpose(1, 2)
        masks = (coefficients.tanh() @ places).sigmoid()
        return {**self.found(maps), "masks": masks.reshape(batch, -1, rows, columns)}
