"""What a pass returns."""

from __future__ import annotations

from dataclasses import dataclass

from torch import fx


@dataclass(frozen=True)
class Change:
    """Something a pass did."""

    where: str
    """The module path, as in "blocks.3.down.cheap.1"."""
    what: str


@dataclass(frozen=True)
class Refusal:
    """Something a pass left as it was, and why."""

    where: str
    why: str


@dataclass(frozen=True)
class Proof:
    """What `run_passes` measured for one pass."""

    name: str
    changes: tuple[Change, ...]
    refusals: tuple[Refusal, ...]
    error: float | None
    """Largest difference in float64, relative to the output's range; None if nothing was changed."""
    bound: float


@dataclass(frozen=True)
class PassResult:
    """A new graph, and a true account of what was done to it and what was not."""

    graph: fx.GraphModule
    changes: tuple[Change, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    proofs: tuple[Proof, ...] = ()
    """Pass by pass; filled by `run_passes`."""
