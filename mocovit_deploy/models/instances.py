"""mocovit_1_0_yolact, ghostnet_1_0_yolact and other widths: scores, a box and a mask for every anchor.

They are the detectors of models/detection.py with masks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mocovit_deploy.choices import BOXES
from mocovit_deploy.models import detection
from mocovit_deploy.models.arguments import own_config
from mocovit_deploy.models.detection import SIZE, own_input, weights
from mocovit_deploy.spec import ModelSpec

if TYPE_CHECKING:
    from torch import nn

__all__ = ["INPUT_NAMES", "NAMES", "build", "knows", "own_input", "weights"]

SUFFIX = "_yolact"
NAMES = tuple(name.removesuffix(detection.SUFFIX) + SUFFIX for name in detection.NAMES)
INPUT_NAMES = ("image",)


def knows(name: str) -> bool:
    """True for the names of this source."""
    return name in NAMES


def build(spec: ModelSpec) -> nn.Module:
    """The network that `spec` names: (N, 3, H, W) -> see `heads.instances.InstanceSegmenter`.

    Raises the errors of `own_config` and `backbone_named`.
    """
    from mocovit_deploy.models.backbones import backbone_named
    from mocovit_deploy.models.heads.instances import InstanceConfig, InstanceSegmenter

    config = own_config(spec, InstanceConfig)
    backbone, channels = backbone_named(spec.name.removesuffix(SUFFIX))
    sides = spec.input.sides or (SIZE, SIZE)
    return InstanceSegmenter(backbone, channels, config, sides, spec.boxes or BOXES[0])
