"""Reports as text for people: what `mocovit-bench` prints on standard error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from benchmarks.reports.report import (
    CountedOperator,
    CountReport,
    LatencyReport,
    Report,
    TimedOperator,
)
from benchmarks.reports.statistics import summarise
from mocovit_deploy.targets import Partitions

MOVEMENT = ("TRANSPOSE", "RESHAPE", "Transpose", "Reshape")
"""Operators that compute nothing; converters add them where layouts do not fit."""


MOST_OPERATORS = 20
"""The most operators printed, in the order of their cost."""


def describe_report(report: Report) -> Iterator[str]:
    """The lines of a report."""
    yield f"{report.subject.file}  ({report.subject.model}, {report.subject.recipe})"
    engine = report.engine
    threads = "1 thread" if report.plan.threads == 1 else f"{report.plan.threads} threads"
    yield f"  runtime       {engine.runtime} {engine.version}, {engine.arithmetic} arithmetic, {threads}"
    yield f"  outputs       {report.verified}"
    if isinstance(report, LatencyReport):
        yield from _times(report)
    else:
        yield from _counts(report)
    yield from _graph(report)
    if report.operators:
        yield from _operators(report.operators)
    for warning in report.warnings:
        yield f"  note          {warning}"


def device_line(facts: Mapping[str, str]) -> str:
    """A device in one line, without digests and the build of its system."""
    bare = ("processor", "maker", "model", "soc", "machine", "abi", "clusters")
    led = {"cores": "cores", "kernel": "kernel", "android": "Android", "governor": "governor"}
    found = [facts[name] for name in bare if facts.get(name)]
    found += [f"{word} {facts[name]}" for name, word in led.items() if facts.get(name)]
    return ", ".join(found)


def ms(value: float) -> str:
    """Milliseconds to about five digits: "3,912.3", "391.23", "4.533", "0.001732"."""
    if value == 0 or value >= 0.01:
        return f"{value:,.{1 if value >= 1000 else 2 if value >= 100 else 3}f}"
    return f"{value:.4g}"


def _times(report: LatencyReport) -> Iterator[str]:
    facts = report.device.facts
    yield f"  device        {device_line(facts)}"
    s = summarise(report.samples_ms)
    named = {
        "p50": s.p50_ms,
        "p90": s.p90_ms,
        "p95": s.p95_ms,
        "p99": s.p99_ms,
        "min": s.min_ms,
        "mean": s.mean_ms,
    }
    yield f"  latency       {'  '.join(f'{name} {ms(value)}' for name, value in named.items())} ms"
    if s.mad_ms is not None and s.median_interval_ms is not None:
        low, high = s.median_interval_ms.low, s.median_interval_ms.high
        between = f"median between {ms(low)} and {ms(high)} ms"
        yield f"  spread        MAD {ms(s.mad_ms)} ms, {between}, {s.samples} samples"
    yield f"  start         load {report.load_ms:.1f} ms, first inference {ms(report.first_inference_ms)} ms"
    if report.peak_memory_bytes is not None:
        yield f"  memory        {report.peak_memory_bytes / 2**20:.1f} MiB at most, with the runtime"


def run_range(report: CountReport) -> str:
    """The instructions of all runs: "equal in every run", or their least and most."""
    least, most = min(report.instructions_by_run), max(report.instructions_by_run)
    return "equal in every run" if least == most else f"{least:,} to {most:,} over the runs"


def partition_count(found: Partitions) -> str:
    """ "1 partition", "2 partitions"."""
    return "1 partition" if found.count == 1 else f"{found.count} partitions"


def _counts(report: CountReport) -> Iterator[str]:
    counts = report.counts
    yield f"  emulated      {report.plan.cpu}, {report.emulator}: counted, not timed"
    yield f"  instructions  {counts.instructions:,} per inference ({run_range(report)})"
    macs = ", ".join(f"{width} {count:,}" for width, count in counts.macs.items() if count)
    yield f"  executed MACs {counts.total_macs:,} ({macs or 'none'})"
    yield f"  memory        {counts.loaded_bytes:,} bytes loaded, {counts.stored_bytes:,} stored"
    m = report.modelled
    if m is None:
        yield "  modelled      no time: no device file is calibrated for this core and thread count"
    else:
        yield (
            f"  modelled      {m.modelled_ms:.3g} ms on {m.device} ({m.core}, {m.clock_hz / 1e9:.2f} GHz), "
            f"not measured: bound {m.bound_ms:.3g} x {m.factor:g}, off by up to {m.error_band_percent:.0f} %"
        )


def _graph(report: Report) -> Iterator[str]:
    kinds = report.operators_by_kind
    if kinds:
        listed = ", ".join(f"{kind} {count}" for kind, count in kinds.items())
        yield f"  operators     {sum(kinds.values())}: {listed}"
        moved = {kind: kinds[kind] for kind in MOVEMENT if kind in kinds}
        said = ", ".join(f"{count} {kind}" for kind, count in moved.items()) or "no transpose, no reshape"
        yield f"  data movement {said}"
    if report.partitions is not None:
        yield from _partitions(report.partitions)


def _partitions(found: Partitions) -> Iterator[str]:
    yield f"  {found.delegate:<13} {partition_count(found)}, {found.operators_inside} operators inside"
    for group in found.outside:
        reason = f": {group.reason}" if group.reason else ""
        yield f"  outside       {group.count} {group.kind}{reason}"


def _operators(operators: Sequence[TimedOperator | CountedOperator]) -> Iterator[str]:
    yield f"  {'#':>4} {'part':>5} {_cost_title(operators[0]):>14} {'%':>6}  operator, module"
    total = sum(op.cost for op in operators) or 1.0
    shown = sorted(operators, key=lambda op: op.cost, reverse=True)[:MOST_OPERATORS]
    for op in shown:
        part = "-" if op.partition is None else str(op.partition)
        cost = f"{op.mean_ms:.3f}" if isinstance(op, TimedOperator) else f"{op.instructions:,}"
        share = 100 * op.cost / total
        yield f"  {op.index:>4} {part:>5} {cost:>14} {share:>6.1f}  {op.kind}  {op.where}".rstrip()
    if left := len(operators) - len(shown):
        rest = 100 * (1 - sum(op.cost for op in shown) / total)
        yield f"  and {left} more with {rest:.1f} % in all (--json, --output and --html list all)"


def _cost_title(op: TimedOperator | CountedOperator) -> str:
    return "mean ms" if isinstance(op, TimedOperator) else "instructions"
