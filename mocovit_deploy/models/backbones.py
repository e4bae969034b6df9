"""Backbones for heads, by name. A backbone turns an image into maps at strides 8, 16 and 32.

mocovit_1_0 and its other widths            models/mocovit_network.py
ghostnet_1_0, efficientvit_b0, ...          the names in `OF_TIMM`, in timm's `features_only` form
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mocovit_deploy.choices import STRIDES
from mocovit_deploy.errors import UsageError
from mocovit_deploy.models import mocovit
from mocovit_deploy.spec import ModelSpec

if TYPE_CHECKING:
    from torch import nn

OF_TIMM = {
    "ghostnet_0_5": "ghostnet_050",
    "ghostnet_1_0": "ghostnet_100",
    "efficientvit_b0": "efficientvit_b0",
    "efficientvit_b1": "efficientvit_b1",
    "efficientvit_b2": "efficientvit_b2",
    "efficientvit_b3": "efficientvit_b3",
}
"""timm's name by the name here."""


class Backbone(NamedTuple):
    """A module, (N, 3, H, W) -> a list of maps at `STRIDES`, and the channels of each."""

    module: nn.Module
    channels: tuple[int, ...]


def backbone_named(name: str) -> Backbone:
    """The backbone `name`, one of `mocovit.NAMES` or `OF_TIMM`, with random weights.

    Raises `MissingToolError` if it needs timm and timm is not installed, `UsageError` if the installed timm
    has no maps of it.
    """
    if name in OF_TIMM:
        from mocovit_deploy.models.timm import maps_of_timm

        try:
            module = maps_of_timm(ModelSpec(f"timm/{OF_TIMM[name]}"), STRIDES)
        except UsageError as error:
            raise UsageError(f"backbone {name}: {error}; install another version of timm") from error
        return Backbone(module, tuple(module.feature_info.channels()))
    from mocovit_deploy.models.mocovit_network import MoCoViTMaps

    maps = MoCoViTMaps(mocovit.build(ModelSpec(name)), STRIDES)
    return Backbone(maps, maps.channels)
