"""Refusing impossible times, so that sums, ratios and axes of plots are finite."""

from __future__ import annotations

from collections.abc import Iterable

SHORTEST_MS, LONGEST_MS = 1e-9, 1e10
"""Every measured time lies between these."""


def require_times(name: str, times: Iterable[float], *, zero: bool = False) -> None:
    """Raise `ValueError`, with `name`, unless all `times` are between `SHORTEST_MS` and `LONGEST_MS`.

    `zero` also allows 0.
    """
    if not all(SHORTEST_MS < time < LONGEST_MS or (zero and time == 0) for time in times):
        raise ValueError(f"{name}: every time must be a positive number below {LONGEST_MS:g}")
