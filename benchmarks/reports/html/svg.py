"""Drawing: scales, ticks and SVG elements as text. Every text is escaped, every number checked to be one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 480
"""Of every plot, in its own units; the page scales it to its width, and letters less than the rest."""


@dataclass(frozen=True)
class Scale:
    """A straight line from data to the page."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        span = self.high - self.low
        share = (value - self.low) / span if span else 0.5
        return self.start + (self.end - self.start) * share


def ticks(low: float, high: float, count: int) -> list[float]:
    """Round values between `low` and `high`, about `count`: multiples of 1, 2 or 5 times a power of ten."""
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return [low]
    rough = span / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * power for unit in (1, 2, 5, 10) if unit * power >= rough)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [n * step for n in range(first, last + 1)]


def coordinate(value: float) -> str:
    """A coordinate, with two digits at most."""
    if not math.isfinite(value):
        raise ValueError(f"{value} is no coordinate")
    return f"{value:.2f}".rstrip("0").rstrip(".")


def figure(value: float) -> str:
    """A value for people: "0.33", "1,234"."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def text_element(x: float, y: float, words: str, *, anchor: str = "start", kind: str = "") -> str:
    chosen = f' class="{kind}"' if kind else ""
    return (
        f'<text x="{coordinate(x)}" y="{coordinate(y)}" text-anchor="{anchor}"{chosen}>{escape(words)}</text>'
    )


def rect(x: float, y: float, width: float, height: float, kind: str, title: str = "") -> str:
    size = f'width="{coordinate(max(width, 0.5))}" height="{coordinate(max(height, 0))}"'
    box = f'x="{coordinate(x)}" y="{coordinate(y)}" {size}'
    return f'<rect {box} class="{kind}">{f"<title>{escape(title)}</title>" if title else ""}</rect>'


def dot(x: float, y: float, kind: str) -> str:
    return f'<circle cx="{coordinate(x)}" cy="{coordinate(y)}" r="1.8" class="{kind}"/>'


def line(points: Sequence[tuple[float, float]], kind: str) -> str:
    joined = " ".join(f"{coordinate(x)},{coordinate(y)}" for x, y in points)
    return f'<polyline points="{joined}" class="{kind}"/>'


def plot(height: float, parts: Sequence[str], label: str) -> str:
    """A whole drawing, with words for those who cannot see it."""
    inside = "".join(parts)
    box = f'viewBox="0 0 {WIDTH} {coordinate(height)}"'
    return f'<svg {box} role="img" aria-label="{escape(label, quote=True)}">{inside}</svg>'
