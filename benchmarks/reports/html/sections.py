"""One report on the page: warnings, results, runtime, device and plots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from benchmarks.reports.advice import advise
from benchmarks.reports.html.operators import operator_bars
from benchmarks.reports.html.plots import samples_over_time
from benchmarks.reports.report import CountReport, LatencyReport, Report
from benchmarks.reports.rounds import Round
from benchmarks.reports.statistics import (
    LEAST_FOR_P99,
    SEED,
    Interval,
    bootstrap_median,
    percentile,
    percentile_interval,
)
from benchmarks.reports.text import partition_count, run_range
from mocovit_deploy.report.bars import Bar, bars
from mocovit_deploy.report.digits import between, figure, rough, share, within
from mocovit_deploy.report.markup import Html, drawing, figures, folded, join, note, table, tag

CLASSES_SAID = (
    "Every instruction is of one class. fma: multiply-accumulate on four 32-bit or eight 16-bit lanes; dot, "
    "matmul and widening: the same on integers; simd_other: all other vector instructions. Executed MACs are "
    "the multiply-accumulates of these, padding of the kernels included."
)


def section(report: Report) -> Html:
    """A report as HTML, warnings first."""
    engine = report.engine
    threads = "1 thread" if report.plan.threads == 1 else f"{report.plan.threads} threads"
    made = f"{report.subject.model}, {report.subject.recipe}"
    executed = f"{engine.runtime} {engine.version}, {engine.arithmetic} arithmetic"
    parts = [*(note(warning) for warning in warnings_said(report) + advice_on(report))]
    if isinstance(report, LatencyReport) and report.unsteady:
        parts.insert(0, note(join((tag("b", "No result."), f" {report.unsteady}")), kind="bad"))
    parts.append(tag("p", f"{made}; {executed}, {threads}; {_where(report)}", class_="faint"))
    parts += _latency(report) if isinstance(report, LatencyReport) else _counts(report)
    if report.operators:
        parts.append(operator_bars(report.operators))
    parts += _details(report)
    return join(parts)


def warnings_said(report: Report) -> list[str]:
    """The warnings of a report, without that about `unsteady`, which the page shows separately."""
    return [warning for warning in report.warnings if not warning.startswith("no result:")]


def advice_on(report: Report) -> list[str]:
    """The advice on unstable samples; empty for counts."""
    return advise(report) if isinstance(report, LatencyReport) else []


def place_of(report: LatencyReport) -> str:
    """The device in a few words."""
    facts = report.device.facts
    return facts.get("model") or facts.get("processor") or facts.get("soc") or "an unknown device"


def median_said(report: LatencyReport) -> str:
    """The median, no finer than its interval."""
    return _said(report.samples_ms, 50, _sure(report.samples_ms))


@lru_cache(maxsize=64)
def _sure(samples_ms: tuple[float, ...]) -> Interval | None:
    """The interval of the median, cached: a page shows it in several places, and resampling is slow."""
    return bootstrap_median(samples_ms, seed=SEED)


def _said(samples_ms: Sequence[float], percent: float, sure: Interval | None) -> str:
    value = percentile(samples_ms, percent)
    return f"{figure(value) if sure is None else within(value, sure.low, sure.high)} ms"


def _where(report: Report) -> str:
    if isinstance(report, CountReport):
        return f"emulated {report.plan.cpu}, counted and not timed"
    facts = report.device.facts
    on = f", cores {facts['cores']}" if report.target == "adb" and "cores" in facts else ""
    return f"{report.target}, {place_of(report)}{on}"


def _latency(report: LatencyReport) -> Iterator[Html]:
    samples = report.samples_ms
    sure = _sure(samples)
    found = [(_said(samples, 50, sure), "median")]
    if sure is not None:
        found.append((f"{between(sure.low, sure.high)} ms", "the median lies in, 95 %"))
    percents = (90, 99) if len(samples) >= LEAST_FOR_P99 else (90,)
    known = {percent: percentile_interval(samples, percent) for percent in percents}
    found += [(_said(samples, percent, at), f"p{percent}") for percent, at in known.items() if at is not None]
    found += [
        (f"{len(samples):,}", "samples"),
        (f"{rough(report.first_inference_ms)} ms", "first inference"),
        (f"{rough(report.load_ms)} ms", "load"),
    ]
    if report.peak_memory_bytes is not None:
        found.append((f"{figure(report.peak_memory_bytes / 2**20)} MiB", "peak memory"))
    yield figures(found)
    yield tag("p", f"Outputs on {report.target}: {report.verified}.")
    rounds = report.rounds or (Round(samples_ms=samples, sampling_from_s=sum(report.warmup_ms) / 1e3),)
    yield tag("h3", "Samples over time")
    yield drawing(samples_over_time(rounds), _caption(rounds))


def _caption(rounds: Sequence[Round]) -> str:
    said = [
        "Each dot is one inference; red ones lie above the axis, which need not begin at 0.",
        "Shaded: load and warm-up, not counted.",
    ]
    if any(entry.readings for entry in rounds):
        said.append("Below, read while it ran: clock of the slowest core in use, hottest core (dashed).")
    rejected = [f"round {n}: {entry.rejected}" for n, entry in enumerate(rounds, 1) if entry.rejected]
    if rejected:
        said.append(f"Grey rounds do not count ({'; '.join(rejected)}).")
    return " ".join(said)


def _counts(report: CountReport) -> Iterator[Html]:
    counts, m = report.counts, report.modelled
    found = [
        (f"{counts.instructions:,}", "instructions of one inference"),
        (f"{counts.total_macs:,}", "executed MACs"),
        (f"{counts.loaded_bytes:,}", "bytes loaded"),
        (f"{counts.stored_bytes:,}", "bytes stored"),
    ]
    if m is not None:
        found.insert(0, (f"{m.modelled_ms:.2g} ms", f"modelled on {m.device}, not measured"))
    yield figures(found)
    yield tag("p", f"Counted under emulation of a {report.plan.cpu}, not timed; {run_range(report)}.")
    if m is not None:
        yield tag(
            "p",
            f"Modelled: bound {m.bound_ms:.2g} ms at {m.clock_hz / 1e9:.2f} GHz times {m.factor:g} "
            f"({m.source}); off by up to {m.error_band_percent:.0f} %.",
        )
    yield tag("p", f"Outputs under emulation: {report.verified}.")
    yield tag("h3", "Instructions by class")
    ordered = sorted(counts.by_class.items(), key=lambda item: -item[1])
    rows = [
        Bar(name, share(amount, counts.instructions), float(amount), f"{amount:,}")
        for name, amount in ordered
        if amount
    ]
    yield drawing(bars(rows, kind="c"), CLASSES_SAID)


def _details(report: Report) -> Iterator[Html]:
    if report.partitions is not None:
        found = report.partitions
        outside = "; ".join(
            f"{g.count} {g.kind}{f' ({g.reason})' if g.reason else ''}" for g in found.outside
        )
        yield tag(
            "p",
            f"{found.delegate}: {partition_count(found)} (parts of the network that it runs at once), "
            f"{found.operators_inside} operators inside, outside: {outside or 'none'}.",
        )
    facts: dict[str, str] = {}
    if isinstance(report, LatencyReport):
        facts |= {name: value for name, value in report.device.facts.items() if value}
        facts |= _changes(report.device.state_before, report.device.state_after)
    else:
        facts["emulator"] = report.emulator
    facts |= {
        f"plan: {name.removeprefix('plan ')}": value
        for name, value in report.conditions.items()
        if name.startswith("plan ") and value != "None"
    }
    facts |= {"sha256 of the file": report.subject.sha256, "build": report.engine.build, **report.tools}
    yield folded("Conditions", table(("condition", "value"), facts.items()))


def _changes(before: Mapping[str, str | float], after: Mapping[str, str | float]) -> dict[str, str]:
    found = {}
    for name in before.keys() | after.keys():
        first, last = (_reading(side.get(name)) for side in (before, after))
        found[name] = first if first == last else f"{first} before, {last} after"
    return dict(sorted(found.items()))


def _reading(value: str | float | None) -> str:
    if value is None:
        return "unknown"
    return value if isinstance(value, str) else f"{value:,.8g}"
