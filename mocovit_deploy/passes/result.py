"""The result of a pass, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

from torch import fx


@dataclass(frozen=True)
class Change:
    """One change that a pass made."""

    where: str
    """The module path, as in "blocks.3.down.cheap.1"."""
    what: str
    """What was done, as in "folded into blocks.3.down.cheap.0"."""


@dataclass(frozen=True)
class Refusal:
    """One place that a pass left unchanged although it looked for such places."""

    where: str
    """The module path."""
    why: str
    """The reason."""


@dataclass(frozen=True)
class Proof:
    """What `run_passes` measured for one pass."""

    name: str
    changes: tuple[Change, ...]
    refusals: tuple[Refusal, ...]
    error: float | None
    """The largest difference in float64, relative to the output's range; None if nothing was changed."""
    bound: float
    """The largest error that is allowed."""


@dataclass(frozen=True)
class PassResult:
    """A new graph, with the changes that were made and the places that were left unchanged."""

    graph: fx.GraphModule
    changes: tuple[Change, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    proofs: tuple[Proof, ...] = ()
    """One for each pass, in order; filled by `run_passes`."""
