"""Scales, ticks and SVG elements. Text is escaped, and coordinates must be finite numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mocovit_deploy.report.markup import Html, join, tag

WIDTH = 480
"""The width of every plot in its own units. The page scales it to its width, but letters less."""


@dataclass(frozen=True)
class Scale:
    """A linear map from data (`low` to `high`) to the drawing (`start` to `end`)."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        span = self.high - self.low
        share = (value - self.low) / span if span else 0.5
        return self.start + (self.end - self.start) * share


@dataclass(frozen=True)
class LogScale:
    """A logarithmic `Scale`. `low` and `high` are above 0; values outside are drawn at the rim."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        clipped = min(max(value, self.low), self.high)
        line = Scale(math.log10(self.low), math.log10(self.high), self.start, self.end)
        return line(math.log10(clipped))


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


def powers(low: float, high: float, most: int = 6) -> list[float]:
    """Powers of ten from `low` to `high`, evenly thinned to at most `most`."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    step = max(1, math.ceil((last - first + 1) / most))
    return [10.0**n for n in range(first, last + 1, step)]


def coordinate(value: float) -> str:
    """A coordinate with at most two decimals. Raises `ValueError` for NaN and infinity."""
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a coordinate")
    return f"{value:.2f}".rstrip("0").rstrip(".")


def text_element(x: float, y: float, words: str, *, anchor: str = "start", kind: str = "") -> Html:
    """Text at a place; `kind` is its class."""
    return tag("text", words, x=coordinate(x), y=coordinate(y), text_anchor=anchor, class_=kind or None)


def tick_label(x: float, y: float, words: str) -> Html:
    """A number below an axis, centred on its place unless the rim of the drawing would cut it.

    The largest letters are 14 units high, on a narrow page (style.py), and their digits 9 wide.
    """
    reach = 4.5 * len(words)
    anchor = "start" if x < reach else "end" if x > WIDTH - reach else "middle"
    at = 1.0 if anchor == "start" else WIDTH - 1.0 if anchor == "end" else x
    return text_element(at, y, words, anchor=anchor)


def rect(x: float, y: float, width: float, height: float, kind: str, title: str = "") -> Html:
    """A rectangle of class `kind`; `title` is shown when the pointer is over it."""
    return tag(
        "rect",
        tag("title", title) if title else "",
        x=coordinate(x),
        y=coordinate(y),
        width=coordinate(max(width, 0.5)),
        height=coordinate(max(height, 0)),
        class_=kind,
    )


def dot(x: float, y: float, kind: str, title: str = "", radius: float = 1.8) -> Html:
    """A circle of class `kind`; `title` is shown when the pointer is over it."""
    inside = tag("title", title) if title else ""
    return tag("circle", inside, cx=coordinate(x), cy=coordinate(y), r=coordinate(radius), class_=kind)


def dots(places: Iterable[tuple[float, float]], kind: str) -> Html:
    """Many dots as one path, which takes a fifth of the bytes; dots on one place are drawn once."""
    seen = dict.fromkeys((round(2 * x) / 2, round(2 * y) / 2) for x, y in places)
    path = "".join(f"M{coordinate(x)} {coordinate(y)}h0" for x, y in seen)
    return tag("path", d=path, class_=f"dots {kind}") if path else Html("")


def line(points: Sequence[tuple[float, float]], kind: str) -> Html:
    """A line through all points, of class `kind`."""
    joined = " ".join(f"{coordinate(x)},{coordinate(y)}" for x, y in points)
    return tag("polyline", points=joined, class_=kind)


def plot(height: float, parts: Sequence[str], label: str) -> Html:
    """A whole drawing; `label` describes it to readers who cannot see it."""
    box = f"0 0 {WIDTH} {coordinate(height)}"
    return tag("svg", join(parts), viewBox=box, role="img", aria_label=label)
