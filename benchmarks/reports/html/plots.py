"""The plots: samples over time with clock and temperature, distributions side by side, bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.reports.html.svg import WIDTH, Scale, dot, figure, line, plot, rect, text_element, ticks
from benchmarks.reports.rounds import Round
from benchmarks.reports.statistics import percentile

_LEFT, _RIGHT, _TOP = 34.0, 8.0, 16.0
_LETTERS = 62
"""That fit into a line of the page on a narrow screen."""
_MOST_DOTS = 4000
_BINS = 48
_MEDIANS_SHOWN = 2.5
"""Where a distribution ends; what took longer is in its last bar, or a few would press all others flat."""
_GAP_S = 0.6
"""Between two rounds, on the page; the true pause is not drawn."""


def samples_over_time(rounds: Sequence[Round]) -> str:
    """Every sample at the second it was taken, round after round, and below it clock and temperature."""
    placed = _placed(rounds)
    end_s = placed[-1].start_s + placed[-1].length_s
    across = Scale(0, end_s, _LEFT, WIDTH - _RIGHT)
    readings = [(each.start_s + reading.at_s, reading) for each in placed for reading in each.round.readings]
    lanes = [
        ("GHz", "line-b", [(at, r.khz / 1e6) for at, r in readings if r.khz is not None]),
        ("\u00b0C", "line-c", [(at, r.celsius) for at, r in readings if r.celsius is not None]),
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
    parts += [
        text_element(across(value), height + 14, f"{value:g}", anchor="middle")
        for value in ticks(0, end_s, 8)
    ]
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


def _warmup(each: _Placed, across: Scale, bottom: float) -> list[str]:
    """The time before a round's first sample, hatched lightly, and named where the name fits."""
    left, right = across(each.start_s), across(each.start_s + each.round.sampling_from_s)
    if right - left < 1:
        return []
    found = [rect(left, _TOP, right - left, bottom - _TOP, "warm", "load and warm-up, not counted")]
    if right - left > 58:
        found.append(text_element((left + right) / 2, bottom - 6, "warm-up", anchor="middle"))
    return found


def _dots(each: _Placed, across: Scale, down: Scale) -> list[str]:
    samples = each.round.samples_ms
    step = max(1, len(samples) // _MOST_DOTS)
    found: list[str] = []
    at_s = each.start_s + each.round.sampling_from_s
    for n, ms in enumerate(samples):
        at_s += ms / 1e3
        above = ms > down.high
        if n % step == 0 or above:
            found.append(dot(across(at_s), down(min(ms, down.high)), "out" if above else "a"))
    return found


def _lane(
    points: Sequence[tuple[float, float]], kind: str, unit: str, across: Scale, *, top: float
) -> list[str]:
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
    """Where the axis of times begins and ends: at 0 unless the samples lie close together far from it."""
    high, low = _top(samples_ms), min(samples_ms)
    if low < 0.6 * high:
        return 0.0, high
    return low - 0.25 * (high - low), high


def _top(samples_ms: Sequence[float]) -> float:
    """Where the axis ends: far samples are drawn at the rim, or they would press all others flat."""
    usual = percentile(samples_ms, 98) * 1.6
    return min(max(samples_ms), usual) * 1.05


def _grid(down: Scale, unit: str) -> list[str]:
    found = []
    for value in ticks(down.low, down.high, 5):
        found.append(line([(_LEFT, down(value)), (WIDTH - _RIGHT, down(value))], "axis"))
        found.append(text_element(_LEFT - 6, down(value) + 4, f"{value:g}", anchor="end"))
    found.append(text_element(2, _TOP - 6, unit))
    return found


def distributions(named: Sequence[tuple[str, Sequence[float]]]) -> str:
    """How often which time, one band for each report, on one axis; the median is marked."""
    low = min(min(samples) for _, samples in named)
    high = max(min(_top(samples), _MEDIANS_SHOWN * percentile(samples, 50)) for _, samples in named)
    low = max(0.0, low - (high - low) * 0.05)
    across = Scale(low, high, _LEFT, WIDTH - _RIGHT)
    parts: list[str] = []
    for n, (name, samples) in enumerate(named):
        top = 8 + 92.0 * n
        kind = "abcd"[n % 4]
        parts += _band(samples, across, top, kind)
        middle = across(percentile(samples, 50))
        parts.append(line([(middle, top + 18), (middle, top + 80)], "median"))
        said = f": p50 {figure(percentile(samples, 50))} ms"
        parts.append(text_element(2, top + 12, _cut(name, _LETTERS - len(said)) + said, kind="strong"))
    height = 8 + 92.0 * len(named)
    parts += [
        text_element(across(value), height + 10, f"{value:g}", anchor="middle")
        for value in ticks(low, high, 7)
    ]
    parts.append(text_element(WIDTH - _RIGHT, height + 28, "milliseconds", anchor="end"))
    return plot(height + 34, parts, f"distribution of the samples of {len(named)} reports")


def _band(samples: Sequence[float], across: Scale, top: float, kind: str) -> list[str]:
    counts = [0] * _BINS
    span = across.high - across.low or 1.0
    for ms in samples:
        counts[min(_BINS - 1, max(0, int((ms - across.low) / span * _BINS)))] += 1
    most = max(counts)
    width = (across.end - across.start) / _BINS
    bars = [
        rect(
            across.start + n * width,
            top + 80 - 60 * count / most,
            width - 1,
            60 * count / most,
            kind,
            f"{count} samples",
        )
        for n, count in enumerate(counts)
        if count
    ]
    return [line([(across.start, top + 80), (across.end, top + 80)], "axis"), *bars]


def bars(rows: Sequence[tuple[str, float, str]], *, kind: str, label: str) -> str:
    """One bar for each (name, amount, amount in words), in the order they come; names above."""
    most = max((amount for _, amount, _ in rows), default=0.0) or 1.0
    across = Scale(0, most, 2, WIDTH - _RIGHT)
    parts: list[str] = []
    for n, (name, amount, said) in enumerate(rows):
        top = 34.0 * n
        parts.append(text_element(2, top + 13, _cut(name, _LETTERS - len(said)), kind="strong"))
        parts.append(text_element(WIDTH - _RIGHT, top + 13, said, anchor="end"))
        parts.append(rect(2, top + 18, across(amount) - 2, 9, kind, f"{name}: {said}"))
    return plot(34.0 * len(rows) + 4, parts, label)


def _cut(words: str, letters: int) -> str:
    return words if len(words) <= letters else f"{words[: letters - 1]}\u2026"
