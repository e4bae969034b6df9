"""The plots: samples over time with clock and temperature, and distributions one below the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.reports.rounds import Round
from benchmarks.reports.statistics import percentile
from mocovit_deploy.report.digits import figure
from mocovit_deploy.report.markup import Html, drawing, join, tag
from mocovit_deploy.report.svg import WIDTH, Scale, dots, line, plot, rect, text_element, tick_label, ticks

_LEFT, _RIGHT, _TOP = 48.0, 8.0, 18.0
_MOST_DOTS = 1200
"""The most samples of a round that are drawn; those above the axis are always drawn."""
_BINS = 48
_MEDIANS_SHOWN = 2.5
"""The end of a distribution, in medians. Longer times are in its last bar, so that others stay legible."""
_GAP_S = 0.6
"""The gap between two rounds in the drawing, in seconds of its axis; the true pause is not drawn."""


def samples_over_time(rounds: Sequence[Round]) -> str:
    """Every sample at its second, round after round, and below them clock and temperature if known."""
    placed = _placed(rounds)
    end_s = placed[-1].start_s + placed[-1].length_s
    across = Scale(0, end_s, _LEFT, WIDTH - _RIGHT)
    readings = [(each.start_s + reading.at_s, reading) for each in placed for reading in each.round.readings]
    lanes = [
        ("GHz", "curve b", [(at, r.khz / 1e6) for at, r in readings if r.khz is not None]),
        ("\u00b0C", "bound c", [(at, r.celsius) for at, r in readings if r.celsius is not None]),
    ]
    told = [lane for lane in lanes if lane[2]]
    bottom = 170.0
    every = [ms for entry in rounds for ms in entry.samples_ms]
    down = Scale(*_range(every), bottom, _TOP)
    parts = [*_grid(down, "milliseconds")]
    for each in placed:
        if each.round.rejected:
            left, right = across(each.start_s), across(each.start_s + each.length_s)
            parts.append(rect(left, _TOP, right - left, bottom - _TOP, "void", each.round.rejected))
        parts += _warmup(each, across, bottom)
        parts += _dots(each, across, down)
    for n, (unit, kind, points) in enumerate(told):
        parts += _lane(points, kind, unit, across, top=bottom + 8 + 56 * n)
    height = bottom + 8 + 56 * len(told)
    parts += [tick_label(across(value), height + 14, f"{value:g}") for value in ticks(0, end_s, 8)]
    parts.append(text_element(WIDTH - _RIGHT, height + 32, "seconds measured", anchor="end"))
    return plot(height + 38, parts, f"{len(every)} samples in {len(rounds)} rounds over {end_s:.1f} seconds")


@dataclass(frozen=True)
class _Placed:
    round: Round
    start_s: float
    length_s: float


def _placed(rounds: Sequence[Round]) -> list[_Placed]:
    found: list[_Placed] = []
    at_s = 0.0
    for entry in rounds:
        taken_s = entry.sampling_from_s + sum(entry.samples_ms) / 1e3
        found.append(_Placed(entry, at_s, taken_s))
        at_s += taken_s + _GAP_S * min(1.0, taken_s)
    return found


def _warmup(each: _Placed, across: Scale, bottom: float) -> list[Html]:
    """The shaded time before the first sample of a round, with its name if there is room."""
    left, right = across(each.start_s), across(each.start_s + each.round.sampling_from_s)
    if right - left < 1:
        return []
    found = [rect(left, _TOP, right - left, bottom - _TOP, "warm", "load and warm-up, not counted")]
    if right - left > 58:
        found.append(text_element((left + right) / 2, bottom - 6, "warm-up", anchor="middle"))
    return found


def _dots(each: _Placed, across: Scale, down: Scale) -> list[Html]:
    samples = each.round.samples_ms
    step = max(1, len(samples) // _MOST_DOTS)
    usual: list[tuple[float, float]] = []
    above: list[tuple[float, float]] = []
    at_s = each.start_s + each.round.sampling_from_s
    for n, ms in enumerate(samples):
        at_s += ms / 1e3
        if ms > down.high:
            above.append((across(at_s), down(down.high)))
        elif n % step == 0:
            usual.append((across(at_s), down(ms)))
    return [dots(usual, "a"), dots(above, "out")]


def _lane(
    points: Sequence[tuple[float, float]], kind: str, unit: str, across: Scale, *, top: float
) -> list[Html]:
    low, high = min(value for _, value in points), max(value for _, value in points)
    margin = max((high - low) * 0.15, abs(high) * 0.02, 0.01)
    down = Scale(low - margin, high + margin, top + 46, top + 16)
    drawn = [(across(at), down(value)) for at, value in points]
    if len(drawn) == 1:
        drawn = [(drawn[0][0] - 3, drawn[0][1]), (drawn[0][0] + 3, drawn[0][1])]
    said = figure(low) if low == high else f"{figure(low)} to {figure(high)}"
    return [
        line([(_LEFT, top + 50), (WIDTH - _RIGHT, top + 50)], "axis"),
        text_element(_LEFT, top + 10, f"{said} {unit}"),
        line(drawn, kind),
    ]


def _range(samples_ms: Sequence[float]) -> tuple[float, float]:
    """The ends of the axis of times. It begins at 0 unless the samples are close together and far from 0."""
    high, low = _top(samples_ms), min(samples_ms)
    if low < 0.6 * high:
        return 0.0, high
    return low - 0.25 * (high - low), high


def _top(samples_ms: Sequence[float]) -> float:
    """The end of the axis. Samples beyond it are drawn at its edge, so that the others stay legible."""
    usual = percentile(samples_ms, 98) * 1.6
    return min(max(samples_ms), usual) * 1.05


def _grid(down: Scale, unit: str) -> list[Html]:
    found = []
    for value in ticks(down.low, down.high, 5):
        found.append(line([(_LEFT, down(value)), (WIDTH - _RIGHT, down(value))], "axis"))
        found.append(text_element(_LEFT - 6, down(value) + 4, f"{value:g}", anchor="end"))
    found.append(text_element(2, _TOP - 6, unit))
    return found


def distributions(named: Sequence[tuple[str, Sequence[float]]], caption: str) -> Html:
    """One histogram for each named list of samples, all on one axis, with the median marked.

    Names are text of the page above their bands, so that long ones wrap.
    """
    low = min(min(samples) for _, samples in named)
    high = max(min(_top(samples), _MEDIANS_SHOWN * percentile(samples, 50)) for _, samples in named)
    low = max(0.0, low - (high - low) * 0.05)
    across = Scale(low, high, 2, WIDTH - 2)
    bands = [
        join((tag("p", name, class_="band"), _band(name, samples, across, "abcd"[n % 4])))
        for n, (name, samples) in enumerate(named)
    ]
    marks = [tick_label(across(value), 12, f"{value:g}") for value in ticks(low, high, 7)]
    marks.append(text_element(WIDTH - 2, 28, "milliseconds", anchor="end"))
    return drawing(join((*bands, plot(34, marks, "the common axis, in milliseconds"))), caption)


def _band(name: str, samples: Sequence[float], across: Scale, kind: str) -> Html:
    counts = [0] * _BINS
    span = across.high - across.low or 1.0
    for ms in samples:
        counts[min(_BINS - 1, max(0, int((ms - across.low) / span * _BINS)))] += 1
    most = max(counts)
    width = (across.end - across.start) / _BINS
    found = [line([(across.start, 62), (across.end, 62)], "axis")]
    found += [
        rect(across.start + n * width, 62 - 58 * count / most, width - 1, 58 * count / most, kind)
        for n, count in enumerate(counts)
        if count
    ]
    middle = across(min(percentile(samples, 50), across.high))
    found.append(line([(middle, 0), (middle, 62)], "median"))
    return plot(64, found, f"distribution of {len(samples)} samples of {name}")
