"""The page: which file is faster, a table of all reports, distributions, then a part for each report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.reports.file import write_whole
from benchmarks.reports.html.headline import headline, numbered
from benchmarks.reports.html.plots import distributions
from benchmarks.reports.html.sections import advice_on, median_said, place_of, section, warnings_said
from benchmarks.reports.report import CountReport, LatencyReport, Report
from mocovit_deploy.report.markup import Html, breakable, join, note, table, tag
from mocovit_deploy.report.page import Part, page


def write_page(path: Path, reports: Sequence[Report]) -> None:
    """Write `reports` to `path` as a page; raises like `write_whole`."""
    write_whole(path, html_page(reports))


def html_page(reports: Sequence[Report]) -> str:
    """The whole page as text. Times and counts may be on one page, never on one axis."""
    names = dict(enumerate((report.subject.file for report in reports), 1))
    if len(reports) == 1:
        return page(title_of(reports), section(reports[0]), [*_distributions(reports, names)])
    lead = join((_warnings(reports), headline(reports, names), _table(reports)))
    parts = [
        Part(f"report-{n}", f"{n}. {report.subject.file}", section(report), listed=False)
        for n, report in enumerate(reports, 1)
    ]
    return page(title_of(reports), lead, [*_distributions(reports, names), *parts])


def title_of(reports: Sequence[Report]) -> str:
    """The title: the networks or files of a page, and where they were measured."""
    models = list(dict.fromkeys(report.subject.model for report in reports))
    made = [f"{report.subject.recipe} {report.subject.format}" for report in reports]
    kinds = list(dict.fromkeys(made))
    files = list(dict.fromkeys(report.subject.file for report in reports))
    where = " and ".join(list(dict.fromkeys(_done_on(report) for report in reports))[:3])
    if len(models) == 1 and len(kinds) == len(files) <= 4:
        return f"{models[0]}: {' against '.join(kinds)}, {where}"
    if len(files) <= 3:
        return f"{' against '.join(files)}, {where}"
    return f"{len(files)} files of {len(models)} network{'s'[: len(models) != 1]}, {where}"


def _done_on(report: Report) -> str:
    if isinstance(report, CountReport):
        return f"counted on an emulated {report.plan.cpu}"
    return f"timed on {place_of(report)}"


def _warnings(reports: Sequence[Report]) -> Html:
    """The warnings of all reports, each once with the numbers of its reports. Advice is in the parts."""
    found: dict[str, list[int]] = {}
    for number, report in enumerate(reports, 1):
        advised = ["its samples scatter or drift: see its part below"]
        for warning in warnings_said(report) + (advised if advice_on(report) else []):
            found.setdefault(warning, []).append(number)
    lines = [f"{numbered(numbers)}: {warning}" for warning, numbers in found.items()]
    return note(join(tag("div", line) for line in lines)) if lines else join(())


def _distributions(reports: Sequence[Report], names: Mapping[int, str]) -> list[Part]:
    """One drawing for each device: on one axis, two devices would hide each other's spread."""
    found: dict[str, list[tuple[str, Sequence[float]]]] = {}
    for n, report in enumerate(reports, 1):
        if isinstance(report, LatencyReport):
            lost = " (no result)" if report.unsteady else ""
            number = f"{n}. " if len(reports) > 1 else ""
            name = f"{number}{names[n]}{lost}: {median_said(report)}"
            found.setdefault(f"{place_of(report)} ({report.target})", []).append((name, report.samples_ms))
    caption = "How often each time was measured. The line is the median; the last bar holds all longer times."
    return [
        Part(f"distribution-{n}", f"Distribution, {place}", distributions(named, caption))
        for n, (place, named) in enumerate(found.items(), 1)
    ]


def _table(reports: Sequence[Report]) -> Html:
    rows = [_row(report, n) for n, report in enumerate(reports, 1)]
    return table(("file", "on", "runtime", "result"), rows, numbers=(3,), stacked=True)


def _row(report: Report, number: int) -> tuple[str, ...]:
    if isinstance(report, CountReport):
        target, found = "emulated", f"{report.counts.instructions / 1e6:,.2f} M instructions"
    else:
        target = report.target
        found = "no result" if report.unsteady else median_said(report)
    engine = report.engine
    name = tag("a", breakable(f"{number}. {report.subject.file}"), href=f"#report-{number}")
    threads = "" if report.plan.threads == 1 else f", {report.plan.threads} threads"
    return name, target, f"{engine.runtime} {engine.version}, {engine.arithmetic}{threads}", found
