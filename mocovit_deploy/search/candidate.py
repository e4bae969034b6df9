"""One file that might be shipped, with its measurements."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mocovit_deploy.terminal.table import megabytes

HEADER = (
    "recipe",
    "modelled",
    "instructions",
    "size",
    "SQNR",
    "agreement",
    "drop",
    "95 % up to",
    "partitions",
    "",
)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One file and its measurements; None stands for what was not measured."""

    recipe: str
    passed: bool
    """Whether it passed parity."""
    why_not: str = ""
    """The reason or the error if it did not pass."""
    modelled_ms: float | None = None
    instructions: float | None = None
    """The instructions of one inference."""
    is_counted: bool = False
    """Whether instructions were counted; else they are estimated from the table of costs."""
    partitions: int | None = None
    size_bytes: int = 0
    sqnr_db: float | None = None
    """SQNR of the worst output over the golden samples."""
    agreement: float | None = None
    """The share of the judging images on which it answers the same class as the network."""
    drop: float | None = None
    """The share of accuracy that it loses against the network on the judging images."""
    drop_high: float | None = None
    """The upper end of the 95 % interval of `drop`."""
    noise_price: float | None = None
    """The instructions that one unit of noise was worth when a mixed file was divided; None for others."""

    def keeps(self, max_drop: float) -> bool:
        """Whether it passed and, on judging images, loses at most the share `max_drop`."""
        return self.passed and (self.drop_high is None or self.drop_high <= max_drop)

    def as_json(self) -> dict[str, Any]:
        """Plain data for the manifest and the report."""
        return dataclasses.asdict(self)


def rows_of(candidates: Sequence[Candidate], chosen: str | None) -> list[tuple[str, ...]]:
    """The rows under `HEADER`. `chosen` is the recipe to ship; the last candidate of it was chosen."""
    last = {one.recipe: one for one in candidates}
    best = None if chosen is None else last.get(chosen)
    return [
        (
            one.recipe,
            _said(one.modelled_ms, "{:.2f} ms", one.is_counted),
            _said(None if one.instructions is None else one.instructions / 1e6, "{:.2f} M", one.is_counted),
            megabytes(one.size_bytes) if one.size_bytes else "-",
            _said(one.sqnr_db, "{:.0f} dB"),
            _said(one.agreement, "{:.2%}"),
            _said(one.drop, "{:+.2%}"),
            _said(one.drop_high, "{:+.2%}"),
            "-" if one.partitions is None else str(one.partitions),
            "chosen" if one is best else one.why_not[:60],
        )
        for one in candidates
    ]


def _said(value: float | None, how: str, is_exact: bool = True) -> str:
    return "-" if value is None else ("" if is_exact else "~") + how.format(value)
