"""EfficientViT's head for semantic segmentation: three maps in, scores of each class at stride 8 out.

    stride_32 - 1x1 - up x4 -.
    stride_16 - 1x1 - up x2 -+- depth x (x + MBConv(x)) - 1x1, wider - 1x1 - (N, H/8, W/8, classes)
    stride_8  - 1x1 ---------'

Upsampling is bicubic, as in the paper's code. `upsampling="bilinear"` gives a network with the same weights
but other scores; docs/tasks.md says how far apart the two are.

A map has ceil(size / stride) rows and columns, also for sizes that 32 does not divide. Enlarged maps are cut
to the size of the map at stride 8, so that every position stays where it is in the image.

The scores of a position are the last axis: MediaPipe requires it, and it is fast for finding the best class.

Source    arXiv:2205.14756, section 3.3, and mit-han-lab/efficientvit, models/efficientvit/seg.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from mocovit_deploy.artifacts.task import SEGMENTATION, Task
from mocovit_deploy.choices import STRIDES
from mocovit_deploy.errors import unknown_choice
from mocovit_deploy.models.arguments import require_positive
from mocovit_deploy.models.heads.crop import cut_to
from mocovit_deploy.models.mocovit_network import conv_bn

UPSAMPLINGS = ("bicubic", "bilinear")


@dataclass(frozen=True)
class SegmentationConfig:
    """The options of the head."""

    num_classes: int = 19
    """The default is that of Cityscapes."""
    width: int = 32
    """Channels of the maps that are added."""
    depth: int = 1
    """Inverted bottlenecks after the sum."""
    expand: int = 4
    """How many times wider a bottleneck is inside."""
    final_expand: int = 4
    """How many times wider the last layer's input is; 1 adds no layer, as in the paper's ADE20K networks."""
    upsampling: str = "bicubic"

    def __post_init__(self) -> None:
        if self.upsampling not in UPSAMPLINGS:
            raise unknown_choice("upsampling", self.upsampling, UPSAMPLINGS)
        require_positive(self, "num_classes", "width", "expand", "final_expand", or_zero=("depth",))


def _conv_bn_act(inputs: int, outputs: int, kernel: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, BatchNorm and hard-swish; (N, inputs, H, W) -> (N, outputs, H, W)."""
    return conv_bn(inputs, outputs, kernel, groups=groups).append(nn.Hardswish())


class Bottleneck(nn.Module):
    """x + 1x1(depthwise 3x3(1x1(x))), `expand` times wider inside; (N, C, H, W) -> (N, C, H, W).

    Source: MBConv of mit-han-lab/efficientvit, models/nn/ops.py.
    """

    def __init__(self, channels: int, expand: int) -> None:
        super().__init__()
        wide = channels * expand
        self.up = _conv_bn_act(channels, wide)
        self.depthwise = _conv_bn_act(wide, wide, 3, groups=wide)
        self.down = conv_bn(wide, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.down(self.depthwise(self.up(x)))
        return y


class SegmentationHead(nn.Module):
    """Maps at `STRIDES`, of `channels` -> scores (N, ceil(H/8), ceil(W/8), classes), before any softmax.

    Source: SegHead of mit-han-lab/efficientvit, models/efficientvit/seg.py.
    """

    def __init__(self, channels: Sequence[int], config: SegmentationConfig) -> None:
        super().__init__()
        self.upsampling = config.upsampling
        self.narrow = nn.ModuleList(conv_bn(one, config.width, 1) for one in channels)
        self.blocks = nn.Sequential(*(Bottleneck(config.width, config.expand) for _ in range(config.depth)))
        wide = config.width * config.final_expand
        self.widen = _conv_bn_act(config.width, wide) if config.final_expand > 1 else nn.Identity()
        self.scores = nn.Conv2d(wide, config.num_classes, 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        fine, *coarse = (narrow(one) for narrow, one in zip(self.narrow, maps, strict=True))
        total = fine
        for stride, one in zip(STRIDES[1:], coarse, strict=True):
            total = total + self._enlarged(one, stride // STRIDES[0], fine)
        scores: Tensor = self.scores(self.widen(self.blocks(total)))
        return scores.permute(0, 2, 3, 1)

    def _enlarged(self, x: Tensor, factor: int, like: Tensor) -> Tensor:
        return cut_to(F.interpolate(x, scale_factor=factor, mode=self.upsampling, align_corners=False), like)


class Segmenter(nn.Module):
    """A backbone and a head: (N, 3, H, W) -> {"segmentation": (N, ceil(H/8), ceil(W/8), classes)}.

    `channels` are those of the backbone's maps at strides 8, 16 and 32; the result holds logits. Source:
    arXiv:2205.14756, section 3.3.
    """

    def __init__(self, backbone: nn.Module, channels: Sequence[int], config: SegmentationConfig) -> None:
        super().__init__()
        self.backbone, self.head = backbone, SegmentationHead(channels, config)
        self.task = Task(
            kind=SEGMENTATION,
            roles=(SEGMENTATION,),
            facts={"classes": config.num_classes, "stride": STRIDES[0], "scores": "logits, one a class"},
        )

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return {SEGMENTATION: self.head(self.backbone(image))}
