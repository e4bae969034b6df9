"""The original network from the inside, as data: its layers, what it computes there, and what no file has."""

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
    """The module of the original network whose value it has; empty if passes changed the value."""
    factor: float
    """Times what: other than one between a scale that a pass moved and where it used to be."""
    reads: tuple[str, ...]
    """The operations and inputs it reads."""
    moves_only: bool
    """It moves data about, like a reshape, and computes nothing."""
    window: int = 1
    """How many values each of its own is the mean of."""


@dataclass(frozen=True)
class Missing:
    """A layer of the original network that the file has no value of, and why."""

    module: str
    kind: str
    why: str


@dataclass(frozen=True)
class Trace:
    """The original network from the inside."""

    layers: tuple[Layer, ...]
    values: Mapping[str, tuple[Array, ...]]
    """By operation: what the original computes there, an array for each run."""
    missing: tuple[Missing, ...]
    outputs: Mapping[str, str]
    """By name of an output: the operation that computes it."""
    rounding: Mapping[str, float] = field(default_factory=dict)
    """By operation: how far its values are from those in float64, relative to their range."""

    def is_output(self, layer: Layer) -> bool:
        return layer.operation in self.outputs.values()
