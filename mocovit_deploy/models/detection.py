"""mocovit_1_0_retinanet, ghostnet_1_0_retinanet and other widths: scores and a box for every anchor.

They compare MoCoViT with GhostNet as in the paper, but at a size for phones: both backbones have the same
pyramid and heads. The paper's own heads and weights were not published.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mocovit_deploy.choices import BOXES
from mocovit_deploy.models import mocovit
from mocovit_deploy.models.arguments import own_config
from mocovit_deploy.spec import ASSUMED, InputSpec, ModelSpec

if TYPE_CHECKING:
    from torch import nn

SUFFIX = "_retinanet"
NAMES = tuple(f"{name}{SUFFIX}" for name in (*mocovit.NAMES, "ghostnet_0_5", "ghostnet_1_0"))
INPUT_NAMES = ("image",)
SIZE = 320
"""Height and width in pixels; 640 is usual too."""


def knows(name: str) -> bool:
    """True for the names of this source."""
    return name in NAMES


def build(spec: ModelSpec) -> nn.Module:
    """The detector that `spec` names: (N, 3, H, W) -> scores and boxes, see `heads.detection.Detector`.

    Raises the errors of `own_config` and `backbone_named`.
    """
    from mocovit_deploy.models.backbones import backbone_named
    from mocovit_deploy.models.heads.detection import DetectionConfig, Detector

    config = own_config(spec, DetectionConfig)
    backbone, channels = backbone_named(spec.name.removesuffix(SUFFIX))
    return Detector(backbone, channels, config, spec.input.sides or (SIZE, SIZE), spec.boxes or BOXES[0])


def own_input(_spec: ModelSpec, _network: nn.Module) -> InputSpec:
    """320 x 320 pixels."""
    return InputSpec(size=SIZE, preprocessing=ASSUMED)


def weights(_spec: ModelSpec, _network: nn.Module) -> str:
    """Empty: there are no weights to download."""
    return ""
