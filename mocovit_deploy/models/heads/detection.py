"""A small RetinaNet: a feature pyramid, and a head for scores and one for boxes, both shared by all its maps.

    stride_32 - 1x1 -------.- smooth - P32 - stride 2 - P64
                           | x2
    stride_16 - 1x1 ------ + - smooth - P16
                           | x2
    stride_8  - 1x1 ------ + - smooth - P8

    each P - 2 x separable - 1x1 - scores     (N, anchors, classes)      logits
           - 2 x separable - 1x1 - boxes      (N, anchors, 4)            locations relative to the anchors

A separable layer is a depthwise 3x3 and a 1x1 convolution, each followed by BatchNorm and ReLU. Scores and
boxes are separate outputs, so that they do not share an int8 grid. With boxes="decoded" the outputs are
probabilities and boxes from 0 to 1 within the image. The network suppresses no boxes; boxes/decode.py does.

Source    arXiv:1708.02002; pyramid arXiv:1612.03144
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mocovit_deploy.artifacts.task import DETECTION, Task
from mocovit_deploy.boxes.anchors import RATIOS, SIDE, STRIDES, anchors
from mocovit_deploy.boxes.decode import DECODED, RAW, SCALES, SUPPRESSED, Limits
from mocovit_deploy.models.arguments import require_positive
from mocovit_deploy.models.heads.crop import cut_to
from mocovit_deploy.models.mocovit_network import conv_bn

RARE = 0.01
"""The probability of an object at an anchor that an untrained detector starts from."""


@dataclass(frozen=True)
class DetectionConfig:
    """The options of the detector."""

    num_classes: int = 80
    """The default is that of COCO."""
    width: int = 64
    """Channels of the pyramid."""
    depth: int = 2
    """Separable layers of each head."""

    def __post_init__(self) -> None:
        require_positive(self, "num_classes", "width", or_zero=("depth",))


def separable(channels: int, stride: int = 1) -> nn.Sequential:
    """Depthwise 3x3 and 1x1 convolution, each with BatchNorm and ReLU.

    (N, C, H, W) -> (N, C, ceil(H / stride), ceil(W / stride)).
    """
    return nn.Sequential(
        conv_bn(channels, channels, 3, stride, groups=channels, relu=True),
        conv_bn(channels, channels, 1, relu=True),
    )


class Pyramid(nn.Module):
    """Maps at strides 8, 16 and 32 -> maps of one width at `STRIDES`, all (N, C, H / stride, W / stride).

    `channels` are those of the three maps, `width` those of the results. Sides are rounded up. Source:
    arXiv:1612.03144, section 3, with one coarser map as in arXiv:1708.02002.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.narrow = nn.ModuleList(conv_bn(one, width, 1) for one in channels)
        self.smooth = nn.ModuleList(separable(width) for _ in channels)
        self.coarsest = separable(width, 2)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        narrow = [one(x) for one, x in zip(self.narrow, maps, strict=True)]
        for fine in reversed(range(len(narrow) - 1)):
            narrow[fine] = narrow[fine] + _twice(narrow[fine + 1], narrow[fine])
        smooth = [one(x) for one, x in zip(self.smooth, narrow, strict=True)]
        return [*smooth, self.coarsest(smooth[-1])]


def _twice(x: Tensor, like: Tensor) -> Tensor:
    """`x` at twice its size, each number repeated, and cut to the size of `like`."""
    return cut_to(F.interpolate(x, scale_factor=2, mode="nearest"), like)


class Head(nn.Module):
    """`numbers` numbers for each anchor; all maps of the pyramid use its weights.

    Maps (N, width, H / stride, W / stride) -> (N, anchors, numbers), in the order of `boxes.anchors`. Source:
    arXiv:1708.02002, section 4, with separable layers for plain ones.
    """

    def __init__(self, width: int, depth: int, numbers: int) -> None:
        super().__init__()
        self.numbers = numbers
        self.layers = nn.Sequential(*(separable(width) for _ in range(depth)))
        self.last = nn.Conv2d(width, len(RATIOS) * numbers, 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        made = [self.last(self.layers(x)).permute(0, 2, 3, 1) for x in maps]
        return torch.cat([x.reshape(x.shape[0], -1, self.numbers) for x in made], dim=1)


class Detector(nn.Module):
    """A backbone, a pyramid and two heads, for images of `sides` (height, width) in pixels.

    (N, 3, H, W) -> {"scores": (N, anchors, classes), "boxes": (N, anchors, 4)}

    `channels` are those of the backbone's maps at strides 8, 16 and 32. With `boxes` "raw" the outputs are
    logits and locations relative to the anchors; with "decoded" they are probabilities from 0 to 1 and top,
    left, bottom and right as fractions of the image, by `boxes.decode`. "suppressed" is "raw", and lets an
    export write a second file that suppresses boxes itself. Source: arXiv:1708.02002.
    """

    priors: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        channels: Sequence[int],
        config: DetectionConfig,
        sides: tuple[int, int],
        boxes: str = RAW,
    ) -> None:
        super().__init__()
        self.backbone, self.pyramid = backbone, Pyramid(channels, config.width)
        self.scores = Head(config.width, config.depth, config.num_classes)
        self.boxes = Head(config.width, config.depth, 4)
        nn.init.constant_(self.scores.last.bias, -math.log(1 / RARE - 1))  # type: ignore[arg-type]
        self.decodes = boxes == DECODED
        # Not in the state dict, so that a checkpoint fits every image size.
        priors = torch.tensor(anchors(sides), dtype=torch.float32)
        self.register_buffer("priors", priors, persistent=False)
        self.task = Task(
            kind=DETECTION,
            roles=("scores", "boxes"),
            facts={
                "classes": config.num_classes,
                "boxes": DECODED if self.decodes else RAW,
                "image_size": list(sides),
                "strides": list(STRIDES),
                "ratios": list(RATIOS),
                "anchor_side": SIDE,
                "scales": list(SCALES),
                **({"suppressed": asdict(Limits())} if boxes == SUPPRESSED else {}),
            },
        )

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return self.found(self.pyramid(self.backbone(image)))

    def found(self, maps: Sequence[Tensor]) -> dict[str, Tensor]:
        """Maps of the pyramid -> the outputs `scores` and `boxes`."""
        scores, locations = self.scores(maps), self.boxes(maps)
        if not self.decodes:
            return {"scores": scores, "boxes": locations}
        return {"scores": scores.sigmoid(), "boxes": self._decoded(locations)}

    def _decoded(self, locations: Tensor) -> Tensor:
        """(N, anchors, 4): top, left, bottom, right, from 0 to 1 within the image."""
        middle = self.priors[:, :2] + locations[..., :2] * (self.priors[:, 2:] / SCALES[0])
        half = (locations[..., 2:] * (1 / SCALES[2])).exp() * (self.priors[:, 2:] / 2)
        return torch.cat([middle - half, middle + half], dim=-1)
