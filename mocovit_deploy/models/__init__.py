"""Where networks come from. A source is a module that satisfies `Source`, listed in `SOURCES`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import nn

    from mocovit_deploy.spec import InputSpec, ModelSpec

SOURCES = ("mocovit", "segmentation", "detection", "instances", "timm", "program", "user")
"""In the order in which they are asked for a name."""

WEIGHT_SUFFIXES = (".pt", ".pth", ".safetensors")
"""Suffixes of checkpoints."""


class Source(Protocol):
    """A module in `mocovit_deploy/models/`, listed in `SOURCES`.

    It imports torch only inside its functions, so that a wrong name is reported without torch.
    """

    NAMES: tuple[str, ...]
    """The names it knows, or their forms, for the error about an unknown name."""
    INPUT_NAMES: tuple[str, ...]
    """The names of its networks' inputs; empty for the parameters of `forward`."""

    def knows(self, name: str) -> bool:
        """Whether the source builds the network `name`."""
        ...

    def build(self, spec: ModelSpec) -> nn.Module:
        """The network. If it has an attribute `example_inputs`, it takes those instead of one image.

        Raises `UsageError` for options that it does not take, `MissingToolError` for a missing package.
        """
        ...

    def own_input(self, spec: ModelSpec, network: nn.Module) -> InputSpec:
        """The image that its networks take if the user gives no other."""
        ...

    def weights(self, spec: ModelSpec, network: nn.Module) -> str:
        """Where the weights of `network` came from, for people.

        Empty only for a network that this package built by name without weights. Only such weights are
        random, and they are randomised further (`models/seeded.py`). A module of the user's is never changed.
        """
        ...


class FeatureSource(Source, Protocol):
    """A source whose networks can return the feature maps inside them (`--features`)."""

    def feature_maps(self, spec: ModelSpec, network: nn.Module) -> nn.Module:
        """A module that returns the maps of `network`, {"stride_8": (N, C, H/8, W/8), ...}, with its weights.

        The strides are those of `spec.features`, in order. Raises `UsageError` for a stride without a map.
        """
        ...
