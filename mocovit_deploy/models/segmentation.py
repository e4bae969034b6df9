"""efficientvit_b0_seg to _b3_seg and mocovit_1_0_seg: the scores of all classes at every eighth pixel.

The EfficientViT networks are those of the paper's Cityscapes table, at its sizes. The MoCoViT ones have the
head of `efficientvit_b0_seg`, whose backbone costs about the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mocovit_deploy.models import mocovit
from mocovit_deploy.models.arguments import own_config
from mocovit_deploy.spec import ASSUMED, InputSpec, ModelSpec, size_fields

if TYPE_CHECKING:
    from torch import nn

SUFFIX = "_seg"
# backbone            width  depth   height  width of the image
HEADS = {
    "efficientvit_b0": (32, 1, 960, 1920),
    "efficientvit_b1": (64, 3, 896, 1792),
    "efficientvit_b2": (96, 3, 1024, 2048),
    "efficientvit_b3": (128, 3, 1184, 2368),
    **dict.fromkeys(mocovit.NAMES, (32, 1, 512, 512)),
}
NAMES = tuple(f"{backbone}{SUFFIX}" for backbone in HEADS)
INPUT_NAMES = ("image",)


def knows(name: str) -> bool:
    """True for the names of this source."""
    return name in NAMES


def build(spec: ModelSpec) -> nn.Module:
    """The segmenter that `spec` names: (N, 3, H, W) -> scores (N, ceil(H/8), ceil(W/8), classes).

    Raises the errors of `own_config` and `backbone_named`.
    """
    from mocovit_deploy.models.backbones import backbone_named
    from mocovit_deploy.models.heads.segmentation import SegmentationConfig, Segmenter

    backbone = spec.name.removesuffix(SUFFIX)
    width, depth, _, _ = HEADS[backbone]
    config = own_config(spec, SegmentationConfig, width=width, depth=depth)
    return Segmenter(*backbone_named(backbone), config)


def own_input(spec: ModelSpec, _network: nn.Module) -> InputSpec:
    """The size of the paper's table; 512 x 512 for MoCoViT."""
    _, _, height, width = HEADS[spec.name.removesuffix(SUFFIX)]
    return InputSpec(**size_fields((height, width)), preprocessing=ASSUMED)


def weights(_spec: ModelSpec, _network: nn.Module) -> str:
    """Empty: there are no weights to download."""
    return ""
