"""Which operators of a file a delegate will leave to the CPU, as plain data. The file was not run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """An operator of the file, and a delegate's rule that it breaks."""

    kind: str
    """The format's name for the operator."""
    where: str
    """The torch module it came from."""
    why: str
    source: str
    """Where the rule stands: a source file of the delegate, or a report by somebody who ran it."""


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """How ready one file is for one delegate."""

    delegate: str
    """The delegate and the precision it computes in, as in "XNNPACK, fp16"."""
    operators: int
    """The number of operators in the file, without constants."""
    outside: tuple[Obstacle, ...]
    """Operators that the delegate leaves to the CPU, each with the first rule that it breaks."""
    remarks: tuple[Obstacle, ...] = ()
    """Operators that the delegate takes but computes slowly or in another arithmetic."""
