"""Plots of errors over depth, and Pareto plots of files."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mocovit_deploy.report.digits import figure
from mocovit_deploy.report.markup import Html, join, tag
from mocovit_deploy.report.svg import (
    WIDTH,
    LogScale,
    Scale,
    dot,
    line,
    plot,
    powers,
    text_element,
    tick_label,
    ticks,
)

KINDS = "abcd"
_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 10.0, 26.0, 176.0
_TOUCH = 16.0
"""If two points are nearer than this in both directions, their numbers would overlap."""
_LEAST_ERROR = 1e-9
"""Smaller errors, 0 included, are drawn at the lower rim."""


@dataclass(frozen=True)
class Curve:
    """The errors of all layers of one file."""

    name: str
    errors: tuple[float | None, ...]
    """In the order of execution, relative to each layer's range; None if not finite."""
    bound: float | None = None
    """The largest error that is allowed, drawn as a dashed line."""


def legend(names: Sequence[str]) -> Html:
    """A list of names, each in the colour of its curve."""
    return tag("ul", join(tag("li", name, class_=_kind(n)) for n, name in enumerate(names)), class_="legend")


def errors_over_depth(curves: Sequence[Curve]) -> Html:
    """One line for each curve on a logarithmic axis, with its bound as a dashed line; NaN is at the top."""
    every = [one for curve in curves for one in curve.errors if one is not None and one > _LEAST_ERROR]
    every += [curve.bound for curve in curves if curve.bound]
    low = 10.0 ** math.floor(math.log10(min(every, default=_LEAST_ERROR)))
    high = max(10.0 ** math.ceil(math.log10(max(every, default=1.0)) + 1e-9), 10 * low)
    down = LogScale(low, high, _BOTTOM, _TOP)
    depth = max(len(curve.errors) for curve in curves)
    across = Scale(0, max(depth - 1, 1), _LEFT, WIDTH - _RIGHT)
    parts = [text_element(2, 12, "largest error, of the layer's range")]
    for value in powers(low, high):
        parts.append(line([(_LEFT, down(value)), (WIDTH - _RIGHT, down(value))], "axis"))
        parts.append(text_element(_LEFT - 6, down(value) + 3, _short(value), anchor="end"))
    for n, curve in enumerate(curves):
        places = [
            (across(at), down(high if error is None else error)) for at, error in enumerate(curve.errors)
        ]
        if curve.bound:
            parts.append(
                line([(_LEFT, down(curve.bound)), (WIDTH - _RIGHT, down(curve.bound))], f"bound {_kind(n)}")
            )
        if len(places) > 1:
            parts.append(line(places, f"curve {_kind(n)}"))
        parts += [
            dot(*place, "out") for place, error in zip(places, curve.errors, strict=True) if error is None
        ]
    last = max(depth, 1)
    for at in sorted({1, *(int(t) for t in ticks(1, last, 5) if t >= 1 and last - t > last / 10), last}):
        parts.append(tick_label(across(at - 1), _BOTTOM + 14, str(at)))
    parts.append(
        text_element(WIDTH - _RIGHT, _BOTTOM + 30, "layers, in the order of execution", anchor="end")
    )
    return plot(_BOTTOM + 36, parts, f"error of {depth} layers over depth, {len(curves)} files")


def _kind(n: int) -> str:
    return KINDS[n % len(KINDS)]


@dataclass(frozen=True)
class Point:
    """A file in a Pareto plot. Smaller is better for both amounts."""

    name: str
    x: float
    y: float
    kind: str = "a"


def pareto(points: Sequence[Point]) -> tuple[Point, ...]:
    """The points that no other point beats, sorted by `x`.

    A point beats another if it is at least as good in both amounts, and better in one.
    """
    front: list[Point] = []
    for one in sorted(points, key=lambda point: (point.x, point.y)):
        if not front or one.y < front[-1].y or (one.x, one.y) == (front[-1].x, front[-1].y):
            front.append(one)
    return tuple(front)


def pareto_plot(points: Sequence[Point], *, across_title: str, down_title: str) -> Html:
    """All points on logarithmic axes; those of `pareto` are filled and numbered in its order.

    Every amount must be above 0.
    """
    front = pareto(points)
    across = LogScale(*_room([one.x for one in points]), _LEFT, WIDTH - _RIGHT - 6)
    bottom = 250.0
    down = LogScale(*_room([max(one.y, _LEAST_ERROR) for one in points]), bottom, _TOP)
    parts = [text_element(2, 12, down_title)]
    for value in _log_ticks(down.low, down.high):
        parts.append(line([(_LEFT, down(value)), (WIDTH - _RIGHT, down(value))], "axis"))
        parts.append(text_element(_LEFT - 6, down(value) + 3, _short(value), anchor="end"))
    parts += [
        tick_label(across(value), bottom + 14, figure(value)) for value in _log_ticks(across.low, across.high)
    ]
    parts.append(text_element(WIDTH - _RIGHT, bottom + 30, across_title, anchor="end"))
    stairs: list[tuple[float, float]] = []
    for one in front:
        place = (across(one.x), down(one.y))
        stairs += [(place[0], stairs[-1][1]), place] if stairs else [place]
    parts.append(line(stairs, "front"))
    for one in points:
        kind = one.kind if one in front else f"hollow {one.kind}"
        parts.append(dot(across(one.x), down(one.y), kind, one.name, 4))
    for place, numbers in _numbers([(across(one.x), down(one.y)) for one in front]):
        said = ", ".join(map(str, numbers))
        fits = place[0] + 7 + 9 * len(said) < WIDTH
        x, anchor = (place[0] + 7, "start") if fits else (place[0] - 7, "end")
        parts.append(text_element(x, place[1] - 5, said, anchor=anchor, kind="strong"))
    return plot(bottom + 36, parts, f"{len(points)} files, {len(front)} of them beaten by none")


def _numbers(places: Sequence[tuple[float, float]]) -> list[tuple[tuple[float, float], list[int]]]:
    """The positions of numbers, with the numbers there: points that are too near share a position."""
    found: list[tuple[tuple[float, float], list[int]]] = []
    for n, (x, y) in enumerate(places, 1):
        if n > 1 and abs(x - places[n - 2][0]) < _TOUCH and abs(y - places[n - 2][1]) < _TOUCH:
            found[-1][1].append(n)
        else:
            found.append(((x, y), [n]))
    return found


def _short(value: float) -> str:
    """A number of one digit: 1e-5, 0.02, 1."""
    return (
        f"{value:g}"
        if 0.01 <= value < 1000
        else re.sub(r"e([-+])0?", r"e\1", f"{value:.0e}").replace("+", "")
    )


def _room(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return low / 1.25, max(high * 1.25, low * 1.6)


def _log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten; if there are fewer than three, also their multiples by 2 and 5."""
    tens = powers(low, high)
    if len(tens) >= 3:
        return tens
    first = math.floor(math.log10(low))
    fine = [unit * 10.0**n for n in range(first, first + 4) for unit in (1, 2, 5)]
    found = [value for value in fine if low <= value <= high]
    return found if len(found) >= 2 else [low * 1.25, high / 1.25]
