"""The original network's layers and their values, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mocovit_deploy.artifacts.artifact import Array


@dataclass(frozen=True)
class Layer:
    """One operation of the re-parameterized graph."""

    operation: str
    """Its name in the graph."""
    module: str
    """The torch module it belongs to."""
    kind: str
    """The ATen operation, as in "conv2d"."""
    original: str
    """The module of the original network that has the same value; empty if passes changed the value."""
    factor: float
    """Its value divided by that module's. Not 1 between a scale that a pass moved and its former place."""
    reads: tuple[str, ...]
    """The operations and inputs that it reads."""
    moves_only: bool
    """Whether it only moves data, like a reshape."""
    window: int = 1
    """For a mean, how many values each of its own is the mean of; else 1."""


@dataclass(frozen=True)
class Missing:
    """A layer of the original network that the file has no value of, and why."""

    module: str
    kind: str
    why: str


@dataclass(frozen=True)
class Trace:
    """The original network's layers with their values for some runs."""

    layers: tuple[Layer, ...]
    """In the order of execution, after the passes."""
    values: Mapping[str, tuple[Array, ...]]
    """By operation, the original's value for each run."""
    missing: tuple[Missing, ...]
    """Layers that no file can have, because a pass changed or merged them."""
    outputs: Mapping[str, str]
    """By name of an output, the operation that computes it."""
    rounding: Mapping[str, float] = field(default_factory=dict)
    """By operation, the error of its float32 values against float64, relative to their range."""

    def is_output(self, layer: Layer) -> bool:
        """Whether `layer` computes an output of the network."""
        return layer.operation in self.outputs.values()
