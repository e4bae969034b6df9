"""One report as a section of the page: what was found, with what, where, and the plots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from benchmarks.reports.advice import advise
from benchmarks.reports.html.plots import bars, samples_over_time
from benchmarks.reports.html.svg import figure
from benchmarks.reports.report import CountedOperator, CountReport, LatencyReport, Report, TimedOperator
from benchmarks.reports.rounds import Round
from benchmarks.reports.statistics import summarise
from benchmarks.reports.text import ms

_MOST_BARS = 24


def section(report: Report, name: str) -> str:
    """A report as HTML under the heading `name`; everything it says is escaped."""
    engine = report.engine
    threads = "1 thread" if report.plan.threads == 1 else f"{report.plan.threads} threads"
    made = f"{report.subject.model}, {report.subject.recipe}"
    executed = f"{engine.runtime} {engine.version}, {engine.arithmetic} arithmetic"
    parts = [
        f"<h2>{escape(name)}</h2>",
        f'<p class="faint">{escape(made)}; {escape(executed)}, {threads}; {escape(_where(report))}</p>',
    ]
    parts += _latency(report) if isinstance(report, LatencyReport) else _counts(report)
    parts += [
        f'<p class="note">{escape(warning)}</p>'
        for warning in report.warnings
        if not warning.startswith("no result:")  # it stands above, in red
    ]
    if report.operators:
        parts += _operators(report.operators)
    parts += _details(report)
    return "\n".join(parts)


def _where(report: Report) -> str:
    if isinstance(report, CountReport):
        return f"emulated {report.plan.cpu}, counted and not timed"
    facts = report.device.facts
    place = facts.get("model") or facts.get("processor") or "unknown device"
    on = f", cores {facts['cores']}" if report.target == "adb" and "cores" in facts else ""
    return f"{report.target}, {place}{on}"


def _latency(report: LatencyReport) -> Iterator[str]:
    if report.unsteady:
        yield f'<p class="note bad"><b>No result.</b> {escape(report.unsteady)}</p>'
    s = summarise(report.samples_ms)
    figures = [
        (f"{ms(s.p50_ms)} ms", "median"),
        (f"{ms(s.p90_ms)} ms", "p90"),
        (f"{ms(s.p95_ms)} ms", "p95"),
        (f"{ms(s.p99_ms)} ms", "p99"),
        (f"{ms(s.min_ms)} ms", "min"),
        (f"{ms(s.mean_ms)} ms", "mean"),
        (f"{s.samples:,}", "samples"),
        (f"{report.first_inference_ms:.2f} ms", "first inference"),
        (f"{report.load_ms:.1f} ms", "load"),
    ]
    if report.peak_memory_bytes is not None:
        figures.append((f"{report.peak_memory_bytes / 2**20:.1f} MiB", "peak memory"))
    yield _figures(figures)
    if s.median_interval_ms is not None:
        low, high = s.median_interval_ms.low, s.median_interval_ms.high
        yield f"<p>The median is between {ms(low)} and {ms(high)} ms (bootstrap, 95 %).</p>"
    yield f"<p>Outputs on {escape(report.target)}: {escape(report.verified)}.</p>"
    yield from (f'<p class="note">{escape(advice)}</p>' for advice in advise(report))
    rounds = report.rounds or (
        Round(samples_ms=report.samples_ms, sampling_from_s=sum(report.warmup_ms) / 1e3),
    )
    yield "<h3>Samples over time</h3>"
    yield f"<figure>{samples_over_time(rounds)}<figcaption>{_caption(rounds)}</figcaption></figure>"


def _caption(rounds: Sequence[Round]) -> str:
    said = [
        "Each dot is one inference; red ones lie above the axis, which need not begin at 0.",
        "Shaded: load and warm-up, not counted.",
    ]
    if any(entry.readings for entry in rounds):
        said.append("Below, read while it ran: clock of the slowest core in use, hottest core (dashed).")
    rejected = [f"round {n}: {entry.rejected}" for n, entry in enumerate(rounds, 1) if entry.rejected]
    if rejected:
        said.append(f"Grey rounds do not count ({escape('; '.join(rejected))}).")
    return " ".join(said)


def _counts(report: CountReport) -> Iterator[str]:
    counts, m = report.counts, report.modelled
    figures = [
        (f"{counts.instructions:,}", "instructions per inference"),
        (f"{counts.total_macs:,}", "executed MACs"),
        (f"{counts.loaded_bytes:,}", "bytes loaded"),
        (f"{counts.stored_bytes:,}", "bytes stored"),
    ]
    if m is not None:
        figures.append((f"{m.modelled_ms:.3g} ms", f"modelled on {m.device}, not measured"))
    yield _figures(figures)
    per_run = set(report.instructions_by_run)
    agree = (
        "equal in every run" if len(per_run) == 1 else f"{min(per_run):,} to {max(per_run):,} over the runs"
    )
    yield f"<p>Counted under emulation of a {escape(str(report.plan.cpu))}, not timed; {agree}.</p>"
    if m is not None:
        yield (
            f"<p>Modelled: bound {m.bound_ms:.3g} ms at {m.clock_hz / 1e9:.2f} GHz times {m.factor:g} "
            f"({escape(m.source)}); off by up to {m.error_band_percent:.0f} %.</p>"
        )
    yield f"<p>Outputs under emulation: {escape(report.verified)}.</p>"
    yield "<h3>Instructions by class</h3>"
    ordered = sorted(counts.by_class.items(), key=lambda item: -item[1])
    rows = [
        (name, float(amount), f"{amount:,} ({100 * amount / counts.instructions:.1f} %)")
        for name, amount in ordered
        if amount
    ]
    caption = (
        "Every instruction is of one class. fma: multiply-accumulate on four 32-bit or eight 16-bit lanes; "
        "dot, matmul and widening: the same on integers; simd_other: all other vector instructions."
    )
    drawn = bars(rows, kind="c", label="instructions by class")
    yield f"<figure>{drawn}<figcaption>{caption}</figcaption></figure>"


def _operators(operators: Sequence[TimedOperator | CountedOperator]) -> Iterator[str]:
    timed = isinstance(operators[0], TimedOperator)
    unit = "mean milliseconds" if timed else "instructions"
    yield f"<h3>Operators, {unit}</h3>"
    total = sum(map(_cost, operators)) or 1.0
    ordered = sorted(operators, key=_cost, reverse=True)
    rows = [
        (
            f"{op.where}  {op.kind}".strip(),
            _cost(op),
            f"{figure(_cost(op))}{' ms' if timed else ''} ({100 * _cost(op) / total:.1f} %)",
        )
        for op in ordered[:_MOST_BARS]
    ]
    left = len(ordered) - len(rows)
    rest = 100 * sum(map(_cost, ordered[_MOST_BARS:])) / total
    said = "Torch module, then the runtime's own word for the operator."
    more = f" {left} more operators take the other {rest:.1f} %." if left else ""
    drawn = bars(rows, kind="d", label=f"operators by {unit}")
    yield f"<figure>{drawn}<figcaption>{said}{more}</figcaption></figure>"


def _cost(op: TimedOperator | CountedOperator) -> float:
    return op.mean_ms if isinstance(op, TimedOperator) else float(op.instructions)


def _details(report: Report) -> Iterator[str]:
    if report.partitions is not None:
        found = report.partitions
        outside = "; ".join(
            f"{g.count} {g.kind}{f' ({g.reason})' if g.reason else ''}" for g in found.outside
        )
        pieces = "1 partition" if found.count == 1 else f"{found.count} partitions"
        yield (
            f"<p>{escape(found.delegate)}: {pieces}, {found.operators_inside} operators inside, "
            f"outside: {escape(outside) or 'none'}.</p>"
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
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts.items()
    )
    yield f"<details><summary>Conditions</summary><div class=scroll><table>{rows}</table></div></details>"


def _changes(before: Mapping[str, str | float], after: Mapping[str, str | float]) -> dict[str, str]:
    found = {}
    for name in before.keys() | after.keys():
        first, last = (_said(side.get(name)) for side in (before, after))
        found[name] = first if first == last else f"{first} before, {last} after"
    return dict(sorted(found.items()))


def _said(value: str | float | None) -> str:
    if value is None:
        return "not told"
    return value if isinstance(value, str) else f"{value:,.8g}"


def _figures(figures: Sequence[tuple[str, str]]) -> str:
    cells = (
        f'<div class="figure"><b>{escape(big)}</b><span>{escape(small)}</span></div>'
        for big, small in figures
    )
    return f'<div class="figures">{"".join(cells)}</div>'
