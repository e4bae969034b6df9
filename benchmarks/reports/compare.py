"""`compare OLD NEW`: what changed between two reports, and whether a file is slower by more than the bar.

Times are compared by their medians, with the bootstrap interval of the change. Counts are compared by the
cycle bound of their core, or by instructions if no port model covers the core. Where counting is exact, any
change comes from the file.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.reports.report import CountReport, LatencyReport, Report, differing_conditions
from benchmarks.reports.statistics import RESAMPLES, SEED, Interval, interval, resampled_median
from mocovit_deploy.errors import SlowerError, UsageError

ONNXRUNTIME_NOISE_PERCENT = 0.1
"""For one thread: 24 inferences of MoCoViT 1.0 varied by up to 0.014 %, in equal conditions."""

THREADS_NOISE_PERCENT = 10.0
"""For several threads: they spin while they wait. Spinning added 1 to 9 % of instructions to networks of
usual size, and multiplied those of tiny ones, so the scatter of a report's own runs counts if larger."""


@dataclass(frozen=True, kw_only=True)
class Moved:
    """One figure that differs between two reports."""

    what: str
    old: float
    new: float

    @property
    def percent(self) -> float | None:
        """The change in percent; None if the old figure is 0."""
        return 100 * (self.new / self.old - 1) if self.old else None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two reports of one kind, made in the same way, and their differences."""

    old_file: str
    new_file: str
    what: str
    """The figure that decides: "median", "cycle bound" or "instructions"."""
    old: float
    new: float
    unit: str
    noise_percent: float
    """Changes up to this are noise; 0 where counting is exact."""
    interval_percent: Interval | None
    """The interval of the change of times; None for counts."""
    moved: tuple[Moved, ...]
    """All other figures that differ."""

    @property
    def percent(self) -> float:
        """The change of the deciding figure in percent: positive if NEW is slower."""
        return 100 * (self.new / self.old - 1)


def parse_bar(text: str) -> float:
    """ "3%" or "3" as 3.0. Raises `UsageError` for anything but a percentage of at least 0."""
    try:
        bar = float(text.strip().removesuffix("%"))
    except ValueError:
        bar = -1.0
    if not 0 <= bar < float("inf"):
        raise UsageError(f"{text!r} is not a percentage of at least 0; give one such as 3%")
    return bar


def compare_reports(old: Sequence[Report], new: Sequence[Report]) -> tuple[Comparison, ...]:
    """Compare reports by file name. If each side has one report, the names need not match.

    Raises `UsageError` if files do not match, or if device, runtime, build, emulator or plan differ: a
    difference would then not come from the file alone.
    """
    return tuple(_one(before, after) for before, after in _matched(old, new))


def refuse_slower(comparisons: Sequence[Comparison], *, fail_above_percent: float) -> None:
    """Raise `SlowerError`, which names every file that is slower by more than the bar.

    Raises `UsageError` for a bar below the noise of the figures: it would fail by chance.
    """
    for comparison in comparisons:
        if fail_above_percent < comparison.noise_percent:
            raise UsageError(
                f"a bar of {fail_above_percent:g} % is below the noise of these counts "
                f"({comparison.noise_percent:g} %); count one thread on LiteRT or TFLite, or raise the bar"
            )
    slower = [comparison for comparison in comparisons if not comparison.percent <= fail_above_percent]
    if slower:
        listed = "; ".join(f"{c.new_file}: {describe_comparison(c)}" for c in slower)
        raise SlowerError(f"slower by more than {fail_above_percent:g} %: {listed}")


def amount(value: float) -> str:
    """A count in full, a small figure to four digits: "121,045,513", "10.24"."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def describe_comparison(comparison: Comparison) -> str:
    """One comparison in one line."""
    c = comparison
    line = f"{c.what} {amount(c.old)} to {amount(c.new)} {c.unit} ({c.percent:+.3g} %"
    if c.interval_percent is not None:
        line += f", between {c.interval_percent.low:+.3g} and {c.interval_percent.high:+.3g} %"
        if c.interval_percent.low <= 0 <= c.interval_percent.high:
            line += ", may be no change: raise --runs"
    elif c.old == c.new:
        line += ", equal" if c.noise_percent == 0 else f", equal; their noise is {c.noise_percent:g} %"
    elif abs(c.percent) <= c.noise_percent:
        line += f", within the noise of these counts, {c.noise_percent:g} %"
    return line + ")"


def _matched(old: Sequence[Report], new: Sequence[Report]) -> list[tuple[Report, Report]]:
    if len(old) == len(new) == 1:
        return [(old[0], new[0])]
    sides = [_by_file(old, "OLD"), _by_file(new, "NEW")]
    lonely = sorted(sides[0].keys() ^ sides[1].keys())
    if lonely:
        raise UsageError(f"only one side has {', '.join(lonely)}; measure the same files on both")
    return [(report, sides[1][file]) for file, report in sides[0].items()]


def _by_file(reports: Sequence[Report], side: str) -> Mapping[str, Report]:
    by_file = {report.subject.file: report for report in reports}
    if len(by_file) != len(reports):
        raise UsageError(f"{side} holds several reports of one file; give a report with one of each")
    return by_file


def _one(old: Report, new: Report) -> Comparison:
    if old.kind != new.kind:
        raise UsageError(f"{old.subject.file}: counts and measured times do not compare")
    if old.plan.runtime != new.plan.runtime:
        raise UsageError(
            f"{old.subject.file}: OLD ran on {old.plan.runtime}, NEW on {new.plan.runtime}; use one; "
            f"measure OLD again with --runtime {new.plan.runtime}"
        )
    if differing := differing_conditions(old, new):
        raise UsageError(
            f"{old.subject.file}: not made in the same way ({'; '.join(differing)}); measure OLD again"
        )
    if isinstance(old, LatencyReport) and isinstance(new, LatencyReport):
        return _times(old, new)
    if isinstance(old, CountReport) and isinstance(new, CountReport):
        return _counts(old, new)
    raise UsageError(f"{old.subject.file}: these reports do not compare")


def _times(old: LatencyReport, new: LatencyReport) -> Comparison:
    apart = (
        Moved(what="first inference, ms", old=old.first_inference_ms, new=new.first_inference_ms),
        Moved(what="load, ms", old=old.load_ms, new=new.load_ms),
        Moved(what="peak memory, bytes", old=old.peak_memory_bytes or 0, new=new.peak_memory_bytes or 0),
    )
    return Comparison(
        old_file=old.subject.file,
        new_file=new.subject.file,
        what="median",
        old=statistics.median(old.samples_ms),
        new=statistics.median(new.samples_ms),
        unit="ms",
        noise_percent=0.0,
        interval_percent=_interval_of_change(old.samples_ms, new.samples_ms),
        moved=tuple(moved for moved in apart if moved.old != moved.new),
    )


def _interval_of_change(old: Sequence[float], new: Sequence[float]) -> Interval | None:
    """The bootstrap interval of the change of the median, in percent; None if a side has one sample."""
    if len(old) < 2 or len(new) < 2:
        return None
    source = random.Random(SEED)
    before, after = sorted(old), sorted(new)
    return interval(
        [
            100 * (resampled_median(after, source) / resampled_median(before, source) - 1)
            for _ in range(RESAMPLES)
        ]
    )


def _counts(old: CountReport, new: CountReport) -> Comparison:
    core = str(old.plan.cpu)
    bounded = core in old.counts.cycle_bounds_x24 and core in new.counts.cycle_bounds_x24
    if bounded and not (old.counts.cycle_bounds_x24[core] and new.counts.cycle_bounds_x24[core]):
        raise UsageError(f"{old.subject.file}: a cycle bound is 0, so there is no ratio; count again")
    left, right = _figures(old), _figures(new)
    return Comparison(
        old_file=old.subject.file,
        new_file=new.subject.file,
        what="cycle bound" if bounded else "instructions",
        old=old.counts.cycle_bound(core) if bounded else old.counts.instructions,
        new=new.counts.cycle_bound(core) if bounded else new.counts.instructions,
        unit=f"cycles on a {core}" if bounded else "instructions",
        noise_percent=max(_noise_percent(old), _noise_percent(new)),
        interval_percent=None,
        moved=tuple(
            Moved(what=what, old=left.get(what, 0), new=right.get(what, 0))
            for what in left | right
            if left.get(what, 0) != right.get(what, 0)
        ),
    )


def _figures(report: CountReport) -> dict[str, int]:
    counts = report.counts
    return {
        "instructions": counts.instructions,
        "loaded bytes": counts.loaded_bytes,
        "stored bytes": counts.stored_bytes,
        **{f"macs {width}": macs for width, macs in counts.macs.items()},
        **{f"class {name}": number for name, number in counts.by_class.items()},
        **{f"operators {kind}": number for kind, number in report.operators_by_kind.items()},
        "partitions": report.partitions.count if report.partitions else 0,
    }


def _noise_percent(report: CountReport) -> float:
    """The noise of a report's counts: that known of its runtime, or the scatter of its runs if larger."""
    seen = 100 * (max(report.instructions_by_run) / min(report.instructions_by_run) - 1)
    if report.repeatable:
        return seen
    known = ONNXRUNTIME_NOISE_PERCENT if report.plan.threads == 1 else THREADS_NOISE_PERCENT
    return max(known, seen)
