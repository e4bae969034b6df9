"""The page: a table of all reports, their distributions side by side, then one section for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from benchmarks.reports.file import write_whole
from benchmarks.reports.html.plots import distributions
from benchmarks.reports.html.sections import section
from benchmarks.reports.html.style import CSS
from benchmarks.reports.report import CountReport, LatencyReport, Report
from benchmarks.reports.statistics import percentile
from benchmarks.reports.text import ms


def write_page(path: Path, reports: Sequence[Report]) -> None:
    """Write `reports` to `path` as a page; raises like `write_whole`."""
    write_whole(path, html_page(reports))


def html_page(reports: Sequence[Report]) -> str:
    """The whole page as text. Times and counts may be on one page, never on one axis."""
    title = reports[0].subject.file if len(reports) == 1 else f"{len(reports)} reports"
    timed = [report for report in reports if isinstance(report, LatencyReport)]
    parts = [f"<h1>mocovit-bench: {escape(title)}</h1>"]
    names = _names(reports)
    if len(reports) > 1:
        parts.append(_table(reports, names))
    for place, alike in _by_place(timed).items():
        named = [(names[id(one)] + (" (no result)" if one.unsteady else ""), one.samples_ms) for one in alike]
        parts.append(f"<h3>Distribution, {escape(place)}</h3>")
        caption = "How often which time was measured; the line is the median, the last bar the rest."
        parts.append(f"<figure>{distributions(named)}<figcaption>{caption}</figcaption></figure>")
    parts += [f"<section>{section(report, names[id(report)])}</section>" for report in reports]
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


def _names(reports: Sequence[Report]) -> dict[int, str]:
    """What each report is called on the page, by identity: its file, numbered where there are several."""
    numbered = len(reports) > 1
    return {
        id(report): f"{n}. {report.subject.file}" if numbered else report.subject.file
        for n, report in enumerate(reports, 1)
    }


def _table(reports: Sequence[Report], names: Mapping[int, str]) -> str:
    head = "<tr><th>file</th><th>target</th><th>runtime</th><th class=number>result</th></tr>"
    rows = "".join(_row(report, names[id(report)]) for report in reports)
    return f"<div class=scroll><table class=summary>{head}{rows}</table></div>"


def _row(report: Report, name: str) -> str:
    if isinstance(report, CountReport):
        target, found = "emulated", f"{report.counts.instructions / 1e6:,.2f} M instructions"
    else:
        target = report.target
        found = "no result" if report.unsteady else f"p50 {ms(percentile(report.samples_ms, 50))} ms"
    engine = report.engine
    words = (name, target, f"{engine.runtime} {engine.version}, {engine.arithmetic}")
    cells = "".join(f"<td>{escape(word)}</td>" for word in words)
    return f"<tr>{cells}<td class=number>{escape(found)}</td></tr>"
