"""Horizontal bars, beside two columns of text that wrap if they do not fit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mocovit_deploy.report.markup import Html, breakable, join, tag


class Bar(NamedTuple):
    """One amount."""

    name: str
    beside: str
    """Text in the column beside the name."""
    amount: float
    """Decides the length of the bar."""
    said: str
    """The amount as text."""


def bars(rows: Sequence[Bar], *, kind: str) -> Html:
    """One row for each bar, in order. The longest bar is as wide as its column."""
    most = max((row.amount for row in rows), default=0.0) or 1.0

    def row(one: Bar) -> Html:
        length = tag("span", style=f"width:{100 * max(0.0, one.amount) / most:.1f}%")
        cells = (tag("td", breakable(one.name)), tag("td", one.beside), tag("td", one.said, class_="number"))
        return tag("tr", *cells, tag("td", length, class_=f"of {kind}"))

    return tag("div", tag("table", tag("tbody", join(map(row, rows))), class_="bars"), class_="scroll")


def block_of(module: str) -> str:
    """The block of the network that a module lies in: its path up to the first number.

    >>> block_of("blocks.3.ghost.conv"), block_of("stem.conv"), block_of("head")
    ('blocks.3', 'stem', 'head')
    """
    parts = module.split(".")
    first = next((n for n, part in enumerate(parts) if part.isdigit()), 0)
    return ".".join(parts[: first + 1])


def grouped(rows: Iterable[tuple[str, float]]) -> dict[str, tuple[float, int]]:
    """(sum, number) of the amounts of each name, the largest sum first."""
    found: dict[str, tuple[float, int]] = {}
    for name, amount in rows:
        before, count = found.get(name, (0.0, 0))
        found[name] = (before + amount, count + 1)
    return dict(sorted(found.items(), key=lambda item: -item[1][0]))
