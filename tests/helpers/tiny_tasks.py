"""The heads of this package on a backbone of three convolutions: `tests/helpers/tiny_tasks.py:segmenter`."""

from __future__ import annotations

import torch
from tiny_networks import alive
from torch import Tensor, nn

from mocovit_deploy.models.heads.detection import DetectionConfig, Detector
from mocovit_deploy.models.heads.instances import InstanceConfig, InstanceSegmenter
from mocovit_deploy.models.heads.segmentation import SegmentationConfig, Segmenter
from mocovit_deploy.models.mocovit_network import conv_bn

CHANNELS = (8, 12, 16)


class Backbone(nn.Module):
    """(N, 3, H, W) -> maps at strides 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_bn(3, 8, 3, 2, relu=True), conv_bn(8, 8, 3, 2, relu=True))
        before = (8, *CHANNELS)
        self.stages = nn.ModuleList(
            conv_bn(one, after, 3, 2, relu=True) for one, after in zip(before[:-1], CHANNELS, strict=True)
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        x = self.stem(image)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


def segmenter(num_classes: int = 3, upsampling: str = "bicubic") -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = SegmentationConfig(num_classes, width=8, upsampling=upsampling)
        return alive(Segmenter(Backbone(), CHANNELS, config), torch.randn(8, 3, 64, 96))


def detector(num_classes: int = 3, boxes: str = "raw", image_size: object = (64, 96)) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sides = (image_size, image_size) if isinstance(image_size, int) else image_size
        config = DetectionConfig(num_classes, width=8, depth=1)
        made = Detector(Backbone(), CHANNELS, config, sides, boxes)  # type: ignore[arg-type]
        with torch.no_grad():
            made.scores.last.bias.add_(3.0)  # so that some anchors hold something
        return alive(made, torch.randn(8, 3, *sides))  # type: ignore[misc]


def instances(num_classes: int = 3, boxes: str = "raw", image_size: object = (64, 96)) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sides = (image_size, image_size) if isinstance(image_size, int) else image_size
        config = InstanceConfig(num_classes, width=8, depth=1, prototypes=4)
        made = InstanceSegmenter(Backbone(), CHANNELS, config, sides, boxes)  # type: ignore[arg-type]
        with torch.no_grad():
            made.scores.last.bias.add_(3.0)  # so that some anchors hold something
        return alive(made, torch.randn(8, 3, *sides))  # type: ignore[misc]
