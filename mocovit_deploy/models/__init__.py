"""Where networks come from. One source is one file, a `Source`; the tuple is their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import nn

    from mocovit_deploy.spec import InputSpec, ModelSpec

SOURCES = ("mocovit", "segmentation", "timm", "program", "user")

WEIGHT_SUFFIXES = (".pt", ".pth", ".safetensors")
"""Of checkpoints."""


class Source(Protocol):
    """A module in `mocovit_deploy/models/`, listed in `SOURCES`.

    It imports torch inside its functions alone, so that a wrong name is told without it.
    """

    NAMES: tuple[str, ...]
    """Names it knows, or their forms: what an unknown name is answered with."""
    INPUT_NAMES: tuple[str, ...]
    """What its networks' inputs are called; empty for the parameters of `forward`."""

    def knows(self, name: str) -> bool: ...

    def build(self, spec: ModelSpec) -> nn.Module:
        """The network. Where its `example_inputs` is set, that is what it takes, and not one image."""
        ...

    def own_input(self, spec: ModelSpec, network: nn.Module) -> InputSpec:
        """The image its networks take where the user says nothing else."""
        ...

    def weights(self, spec: ModelSpec, network: nn.Module) -> str:
        """Where the weights of `network` came from, in words.

        Empty only for a network that this package built by name, without weights: those alone are random,
        and are made alive (`models/seeded.py`). A module that the user hands over is never changed.
        """
        ...


class FeatureSource(Source, Protocol):
    """A source whose networks can return the feature maps inside them (`--features`)."""

    def feature_maps(self, spec: ModelSpec, network: nn.Module) -> nn.Module:
        """A module that returns the maps of `network`, {"stride_8": (N, C, H/8, W/8), ...}, with its weights.

        The strides are those of `spec.features`, in order. Raises `UsageError` for a stride without a map.
        """
        ...
