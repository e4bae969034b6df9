"""The page: a table of all reports, their distributions side by side, then one section for each."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from benchmarks.page.plots import distributions
from benchmarks.page.sections import section
from benchmarks.page.style import CSS
from benchmarks.report import CountReport, LatencyReport, Report
from benchmarks.report_file import write_whole
from benchmarks.statistics import percentile


def write_page(path: Path, reports: Sequence[Report]) -> None:
    """Write `reports` to `path` as a page; raises like `write_whole`."""
    write_whole(path, page(reports))


def page(reports: Sequence[Report]) -> str:
    """The whole page as text. Times and counts may be on one page, never on one axis."""
    title = reports[0].subject.file if len(reports) == 1 else f"{len(reports)} reports"
    timed = [report for report in reports if isinstance(report, LatencyReport)]
    parts = [f"<h1>mocovit-bench: {escape(title)}</h1>"]
    if len(reports) > 1:
        parts.append(_table(reports))
    for place, alike in _by_place(timed).items():
        named = [(_name(report), report.samples_ms) for report in alike]
        parts.append(f"<h3>Distribution, {escape(place)}</h3><figure>{distributions(named)}</figure>")
    parts += [f"<section>{section(report)}</section>" for report in reports]
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{CSS}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _by_place(reports: Sequence[LatencyReport]) -> dict[str, list[LatencyReport]]:
    """Reports of one device share an axis; those of two would press each other flat and invite comparison."""
    found: dict[str, list[LatencyReport]] = {}
    for report in reports:
        facts = report.device.facts
        place = facts.get("model") or facts.get("processor") or "device"
        found.setdefault(f"{place} ({report.target})", []).append(report)
    return found


def _name(report: LatencyReport) -> str:
    return report.subject.file + (" (no result)" if report.unsteady else "")


def _table(reports: Sequence[Report]) -> str:
    head = "<tr><th>file</th><th>target</th><th>arithmetic</th><th class=number>figure</th></tr>"
    return f"<div class=scroll><table>{head}{''.join(map(_row, reports))}</table></div>"


def _row(report: Report) -> str:
    if isinstance(report, CountReport):
        target, found = "emulated", f"{report.counts.instructions:,} instructions"
    else:
        target = report.target
        found = "no result" if report.unsteady else f"{percentile(report.samples_ms, 50):.3f} ms"
    words = (report.subject.file, target, report.engine.arithmetic)
    cells = "".join(f"<td>{escape(word)}</td>" for word in words)
    return f"<tr class=summary>{cells}<td class=number>{escape(found)}</td></tr>"
