"""mocovit_1_0 and four other widths by name; `mocovit_network` holds the network.

Widths other than 1.0 are extrapolated by GhostNet's rule (arXiv:1911.11907, section 4.1). No numbers are
published that they could be compared with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mocovit_deploy.models.arguments import own_config
from mocovit_deploy.spec import ASSUMED, InputSpec, ModelSpec

if TYPE_CHECKING:
    from torch import nn

    from mocovit_deploy.models.mocovit_network import MoCoViT

WIDTHS = {
    "mocovit_0_5": 0.5,
    "mocovit_0_75": 0.75,
    "mocovit_1_0": 1.0,
    "mocovit_1_3": 1.3,
    "mocovit_1_5": 1.5,
}
PUBLISHED = ("mocovit_1_0",)
"""The names with published totals; every other width is an extrapolation."""

NAMES = tuple(WIDTHS)
INPUT_NAMES = ("image",)


def knows(name: str) -> bool:
    """Whether `name` is one of `NAMES`."""
    return name in WIDTHS


def build(spec: ModelSpec) -> MoCoViT:
    """The network that `spec` names: (N, 3, H, W) -> logits (N, classes).

    Raises the errors of `own_config`.
    """
    from mocovit_deploy.models.mocovit_network import MoCoViT, MoCoViTConfig

    return MoCoViT(own_config(spec, MoCoViTConfig, width=WIDTHS[spec.name]))


def feature_maps(spec: ModelSpec, network: nn.Module) -> nn.Module:
    """The last map of `network` at each stride of `spec`. Raises `UsageError` for a stride without a map."""
    from mocovit_deploy.models.features import NamedMaps, require_strides
    from mocovit_deploy.models.mocovit_network import STRIDES, MoCoViT, MoCoViTMaps

    assert isinstance(network, MoCoViT)
    require_strides(spec.name, spec.features, STRIDES)
    return NamedMaps(MoCoViTMaps(network, spec.features), spec.features)


def own_input(_spec: ModelSpec, _network: nn.Module) -> InputSpec:
    """224 x 224, with ImageNet's preprocessing assumed."""
    return InputSpec(preprocessing=ASSUMED)


def weights(_spec: ModelSpec, _network: nn.Module) -> str:
    """Empty: the weights are random."""
    return ""
