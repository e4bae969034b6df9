"""Times that can be: what is computed from them (sums, ratios, axes of a plot) is then finite too."""

from __future__ import annotations

from collections.abc import Iterable

SHORTEST_MS, LONGEST_MS = 1e-9, 1e10
"""Between these lies every time that was ever measured."""


def require_times(name: str, times: Iterable[float], *, zero: bool = False) -> None:
    """`ValueError` that names `name` unless all of `times` are positive (or zero, where that is allowed)."""
    if not all(SHORTEST_MS < time < LONGEST_MS or (zero and time == 0) for time in times):
        raise ValueError(f"{name}: every time must be a positive number, of less than {LONGEST_MS:g}")
