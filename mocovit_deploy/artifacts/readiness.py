"""What a delegate will make of a file, told from the file alone, as plain data. Nothing was run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """An operator of the file, and a rule of a delegate that it breaks."""

    kind: str
    """The format's own word for the operator."""
    where: str
    """The torch module it came from."""
    why: str
    source: str
    """Who says so: a file of the delegate, or a report of somebody who ran it."""


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """One delegate and one file."""

    delegate: str
    """With the precision it computes in, as in "XNNPACK, fp16"."""
    operators: int
    """How many the file has; constants are not counted."""
    outside: tuple[Obstacle, ...]
    """Operators that the delegate leaves to the CPU, each with the first rule that it breaks."""
    remarks: tuple[Obstacle, ...] = ()
    """Operators that it takes, and computes slowly or in another arithmetic."""
