"""efficientvit_b0_seg to _b3_seg and mocovit_1_0_seg: the scores of all classes at every eighth pixel.

The EfficientViT networks are those of the paper's Cityscapes table, at its sizes. The MoCoViT ones have the
head of `efficientvit_b0_seg`, whose backbone costs about the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mocovit_deploy.errors import UsageError
from mocovit_deploy.models import mocovit
from mocovit_deploy.models.arguments import parse_arguments
from mocovit_deploy.spec import ASSUMED, InputSpec, ModelSpec

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
    """The network a `ModelSpec` names. Raises `UsageError` for an argument that its head does not have."""
    if spec.channels != InputSpec.channels:
        raise UsageError(f"{spec.name} takes 3 channels, not {spec.channels}")
    if spec.pretrained:
        raise UsageError(f"{spec.name}: there are no weights to download; give yours with --checkpoint")
    from mocovit_deploy.models.backbones import backbone_named
    from mocovit_deploy.models.heads.segmentation import SegmentationConfig, Segmenter

    backbone = spec.name.removesuffix(SUFFIX)
    width, depth, _, _ = HEADS[backbone]
    given = parse_arguments(SegmentationConfig, dict(spec.arguments))
    classes = {} if spec.num_classes is None else {"num_classes": spec.num_classes}
    config = SegmentationConfig(**{"width": width, "depth": depth, **classes, **given})
    return Segmenter(*backbone_named(backbone), config)


def own_input(spec: ModelSpec, _network: nn.Module) -> InputSpec:
    """The size of the paper's table; 512 x 512 for MoCoViT."""
    _, _, height, width = HEADS[spec.name.removesuffix(SUFFIX)]
    return InputSpec(size=height, width=None if height == width else width, preprocessing=ASSUMED)


def weights(_spec: ModelSpec, _network: nn.Module) -> str:
    """Empty: there are no weights to download."""
    return ""
