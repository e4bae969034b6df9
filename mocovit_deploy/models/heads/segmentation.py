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

from mocovit_deploy.artifacts.task import Task
from mocovit_deploy.choices import STRIDES
from mocovit_deploy.errors import UsageError, unknown_choice

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
        for name in ("num_classes", "width", "expand", "final_expand"):
            if getattr(self, name) < 1:
                raise UsageError(f"model argument {name}: {getattr(self, name)} is not above 0")
        if self.depth < 0:
            raise UsageError(f"model argument depth: {self.depth} is below 0")


def _conv_bn(
    inputs: int, outputs: int, kernel: int = 1, groups: int = 1, *, act: bool = False
) -> nn.Sequential:
    """Convolution without bias, BatchNorm, and hard-swish if asked for; (N, inputs, H, W) keeps its size."""
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)
    layers: list[nn.Module] = [convolution, nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, nn.Hardswish()) if act else nn.Sequential(*layers)


class Bottleneck(nn.Module):
    """x + 1x1(depthwise 3x3(1x1(x))), wider inside; (N, C, H, W) -> (N, C, H, W)."""

    def __init__(self, channels: int, expand: int) -> None:
        super().__init__()
        wide = channels * expand
        self.up = _conv_bn(channels, wide, act=True)
        self.depthwise = _conv_bn(wide, wide, 3, groups=wide, act=True)
        self.down = _conv_bn(wide, channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.down(self.depthwise(self.up(x)))
        return y


class SegmentationHead(nn.Module):
    """Maps at `STRIDES` -> scores (N, ceil(H/8), ceil(W/8), classes), before any softmax."""

    def __init__(self, channels: Sequence[int], config: SegmentationConfig) -> None:
        super().__init__()
        self.upsampling = config.upsampling
        self.narrow = nn.ModuleList(_conv_bn(one, config.width) for one in channels)
        self.blocks = nn.Sequential(*(Bottleneck(config.width, config.expand) for _ in range(config.depth)))
        wide = config.width * config.final_expand
        self.widen = _conv_bn(config.width, wide, act=True) if config.final_expand > 1 else nn.Identity()
        self.scores = nn.Conv2d(wide, config.num_classes, 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        fine, *coarse = (narrow(one) for narrow, one in zip(self.narrow, maps, strict=True))
        total = fine
        for stride, one in zip(STRIDES[1:], coarse, strict=True):
            total = total + self._enlarged(one, stride // STRIDES[0], fine)
        scores: Tensor = self.scores(self.widen(self.blocks(total)))
        return scores.permute(0, 2, 3, 1)

    def _enlarged(self, x: Tensor, factor: int, like: Tensor) -> Tensor:
        large = F.interpolate(x, scale_factor=factor, mode=self.upsampling, align_corners=False)
        height, width = like.shape[-2:]
        return large if large.shape[-2:] == like.shape[-2:] else large[..., :height, :width]


class Segmenter(nn.Module):
    """A backbone and a head: (N, 3, H, W) -> {"segmentation": (N, ceil(H/8), ceil(W/8), classes)}."""

    def __init__(self, backbone: nn.Module, channels: Sequence[int], config: SegmentationConfig) -> None:
        super().__init__()
        self.backbone, self.head = backbone, SegmentationHead(channels, config)
        self.task = Task(
            kind="segmentation",
            roles=("segmentation",),
            facts={"classes": config.num_classes, "stride": STRIDES[0], "scores": "logits, one a class"},
        )

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return {"segmentation": self.head(self.backbone(image))}
