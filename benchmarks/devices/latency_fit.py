"""From a cycle bound to milliseconds: one factor, the errors of its predictions, and their worst case.

A bound covers the pressure on a core's pipes, but not caches, branches and dependencies. One factor stands
for their average cost: the geometric mean of measured time over bound (least squares of the logarithms), in
which large networks weigh no more than small ones. It is judged in two ways: each network is left out and
predicted by the factor of the others, and predictions are compared with published figures outside the fit.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.reports import schema
from benchmarks.reports.plausible import require_times

DATA_FILE = Path(__file__).parent / "published" / "latencies.toml"

PREDICTORS = ("bound_ms", "million_instructions")
"""The counts that a factor can be fitted to. Instructions alone predict a little worse, which shows that the
port model helps."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One network: its published time, and its counts taken here."""

    net: str
    million_instructions: float
    bound_ms: float
    measured_ms: float

    def __post_init__(self) -> None:
        require_times(self.net, (self.million_instructions, self.bound_ms, self.measured_ms))


@dataclass(frozen=True, kw_only=True)
class Fit:
    """The pairs that a factor is fitted to, and the sources of both sides."""

    device: str
    clock_hz: int
    measured_with: str
    counted_with: str
    source: str
    pair: tuple[Pair, ...]


@dataclass(frozen=True, kw_only=True)
class Published:
    """A published time beside a count, each with the runtime it is of."""

    net: str
    bound_ms: float
    counted_with: str
    published_ms: float
    published_with: str
    same_runtime: bool
    note: str
    source: str

    def __post_init__(self) -> None:
        require_times(self.net, (self.bound_ms, self.published_ms))


@dataclass(frozen=True, kw_only=True)
class Data:
    """The contents of published/latencies.toml."""

    fit: Fit
    published: tuple[Published, ...]


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """One network, predicted by the factor of all others."""

    net: str
    measured_ms: float
    modelled_ms: float

    @property
    def error_percent(self) -> float:
        """The error of the prediction in percent of the measured time: negative if it is too fast."""
        return 100 * (self.modelled_ms / self.measured_ms - 1)


@dataclass(frozen=True, kw_only=True)
class Errors:
    """Absolute errors over all networks, in percent of the measured times."""

    mean: float
    median: float
    worst: float


def read_published(path: Path = DATA_FILE) -> Data:
    """The calibration data at `path`. Raises `UsageError`, which says what does not fit."""
    return schema.build_record(Data, schema.read_toml(path), str(path))


def factor(pairs: Sequence[Pair], predictor: str) -> float:
    """The geometric mean of measured / predictor, in ms per unit. Raises `ValueError` without pairs."""
    if not pairs:
        raise ValueError("a factor needs at least one pair")
    return math.exp(statistics.fmean(math.log(p.measured_ms / getattr(p, predictor)) for p in pairs))


def leave_one_out(pairs: Sequence[Pair], predictor: str) -> tuple[LeftOut, ...]:
    """Predict each network with the factor of all others."""
    return tuple(
        LeftOut(
            net=left.net,
            measured_ms=left.measured_ms,
            modelled_ms=getattr(left, predictor) * factor([p for p in pairs if p is not left], predictor),
        )
        for left in pairs
    )


def errors(predictions: Sequence[LeftOut]) -> Errors:
    """The absolute errors of predictions; at least one is needed."""
    sizes = [abs(left.error_percent) for left in predictions]
    return Errors(mean=statistics.fmean(sizes), median=statistics.median(sizes), worst=max(sizes))


def deviation_percent(actual_ms: float, modelled_ms: float) -> float:
    """The deviation of the actual time from the modelled one, in percent of the *modelled* one.

    It is the number to show with a modelled figure: 20 ms with a deviation of +50 % was really 30 ms.
    """
    return 100 * (actual_ms / modelled_ms - 1)


def error_band_percent(data: Data | None = None) -> float:
    """The worst deviation over the networks left out and the published figures of the same runtime.

    Figures of other runtimes are not included, because they also differ by the runtime.
    """
    data = data or read_published()
    fitted = factor(data.fit.pair, "bound_ms")
    seen = [deviation_percent(p.measured_ms, p.modelled_ms) for p in leave_one_out(data.fit.pair, "bound_ms")]
    seen += [
        deviation_percent(row.published_ms, row.bound_ms * fitted)
        for row in data.published
        if row.same_runtime
    ]
    return max(abs(percent) for percent in seen)


def fit_text(data: Data) -> str:
    """The text of `mocovit-bench calibrate`: the factor, and its errors network by network."""
    fit = data.fit
    lines = [f"{fit.device}; measured with {fit.measured_with}, counted with {fit.counted_with}"]
    for predictor in PREDICTORS:
        predictions = leave_one_out(fit.pair, predictor)
        worst = errors(predictions)
        lines.append(
            f"{factor(fit.pair, predictor):.4f} ms for 1 of {predictor}; leave-one-out error "
            f"mean {worst.mean:.1f} %, median {worst.median:.1f} %, worst {worst.worst:.1f} %"
        )
        lines += [
            f"  {left.net:<18} measured {left.measured_ms:6.2f} ms, modelled {left.modelled_ms:6.2f} ms, "
            f"{left.error_percent:+6.1f} %"
            for left in predictions
        ]
    lines.append(f"error band of modelled figures: {error_band_percent(data):.0f} %")
    return "\n".join(lines)


def published_table(data: Data, *, same_runtime: bool) -> str:
    """The rows of docs/modelled-against-published.md, in Markdown."""
    fitted = factor(data.fit.pair, "bound_ms")
    lines = [
        "| network | modelled, ms | counted with | published, ms | published with | deviation | source |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in data.published:
        if row.same_runtime == same_runtime:
            modelled_ms = row.bound_ms * fitted
            deviation = deviation_percent(row.published_ms, modelled_ms)
            note = f"{row.note}; {row.source}" if row.note else row.source
            lines.append(
                f"| {row.net} | {modelled_ms:.2f} | {row.counted_with} | {row.published_ms:.2f} "
                f"| {row.published_with} | {deviation:+.0f} % | {note} |"
            )
    return "\n".join(lines)


def left_out_table(data: Data) -> str:
    """The table of networks left out one at a time, in Markdown."""
    lines = [
        "| network | instructions, M | bound, ms | modelled, ms | measured, ms | error |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for pair, left in zip(data.fit.pair, leave_one_out(data.fit.pair, "bound_ms"), strict=True):
        lines.append(
            f"| {pair.net} | {pair.million_instructions:.1f} | {pair.bound_ms:.2f} | {left.modelled_ms:.2f} "
            f"| {left.measured_ms:.2f} | {left.error_percent:+.1f} % |"
        )
    return "\n".join(lines)
