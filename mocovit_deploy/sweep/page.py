"""A sweep as a page: the files that no other file beats, in a plot and in words, then the whole table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mocovit_deploy.report.curves import KINDS, Point, legend, pareto, pareto_plot
from mocovit_deploy.report.digits import figure
from mocovit_deploy.report.markup import Html, breakable, drawing, join, note, table, tag
from mocovit_deploy.report.page import Part, page
from mocovit_deploy.sweep.row import RowResult
from mocovit_deploy.sweep.table import known_columns
from mocovit_deploy.terminal.table import megabytes

MEGA = 1e6
LEAST_ERROR = 1e-9


def sweep_page(results: Sequence[RowResult]) -> str:
    """The whole page as text."""
    passed = [one for one in results if one.passed]
    systems = list(dict.fromkeys(one.system for one in results))
    title = f"{len(results)} exports of {len(systems)} network{'s'[: len(systems) != 1]}"
    lost = [note(f"{_name(one)}: {one.error}", kind="bad") for one in results if not one.passed]
    lead = join((tag("p", f"{len(passed)} of {len(results)} passed."), *_conclusions(passed)))
    header, rows = known_columns(results)
    numbers = range(3, len(header) - 1)
    whole = join((table(header, rows, numbers=numbers, stacked=True), *lost))
    return page(title, lead, [*_plots(passed), Part("rows", "All rows", whole)])


def _conclusions(passed: Sequence[RowResult]) -> Iterator[Html]:
    """For each network, the fastest file, or the smallest if none was timed."""
    for system in dict.fromkeys(one.system for one in passed):
        own = [one for one in passed if one.system == system and one.size_bytes]
        if not own:
            continue
        timed = [one for one in own if one.milliseconds is not None]
        best = min(timed or own, key=lambda one: one.milliseconds or one.size_bytes or 0.0)
        modelled = " modelled" if best.modelled else ""
        time = f"{figure(best.milliseconds or 0.0)} ms{modelled}"
        said = time if timed else megabytes(best.size_bytes or 0)
        word = "fastest" if timed else "smallest"
        error = "" if best.max_error is None else f", largest error {best.max_error:.1e} of the range"
        said = f" The {word} is {best.format} {best.recipe}: {said}{error}."
        yield note(join((tag("b", system), said)), kind="good")


def _plots(passed: Sequence[RowResult]) -> Iterator[Part]:
    """Up to two plots for each network. Errors are relative to its own outputs, so networks share no plot."""
    for n, system in enumerate(dict.fromkeys(one.system for one in passed), 1):
        own = [one for one in passed if one.system == system and one.max_error is not None]
        by_size = [(one, one.size_bytes / MEGA) for one in own if one.size_bytes]
        by_time = [(one, one.milliseconds) for one in own if one.milliseconds]
        drawn = [
            _plot(found, across)
            for across, found in (("milliseconds", by_time), ("megabytes", by_size))
            if found
        ]
        if drawn:
            yield Part(f"network-{n}", system, join(drawn))


def _plot(placed: Sequence[tuple[RowResult, float]], across: str) -> Html:
    formats = list(dict.fromkeys(one.format for one, _ in placed))
    kinds = {name: KINDS[n % len(KINDS)] for n, name in enumerate(formats)}
    points = [
        Point(f"{one.format} {one.recipe}", x, max(one.max_error or 0.0, LEAST_ERROR), kinds[one.format])
        for one, x in placed
    ]
    caption = (
        "Filled: no other file is better in one and as good in the other. Numbers as below; hover for names."
    )
    plot = pareto_plot(points, across_title=across, down_title="largest error, of the range")
    front = pareto(points)
    rows = [(str(n), breakable(one.name), figure(one.x), f"{one.y:.1e}") for n, one in enumerate(front, 1)]
    listed = table(("", "file", across, "largest error"), rows, numbers=(2, 3))
    return join((drawing(join((legend(formats), plot)), caption), listed))


def _name(one: RowResult) -> str:
    return f"{one.system}, {one.format} {one.recipe}"
