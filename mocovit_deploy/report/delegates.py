"""The operators of each file that delegates take, and those that they leave to the CPU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from mocovit_deploy.artifacts.readiness import Obstacle, Readiness
from mocovit_deploy.report.facts import ExportFacts
from mocovit_deploy.report.markup import folded, join, table, tag
from mocovit_deploy.report.page import Part
from mocovit_deploy.report.words import DRAWN, name_of
from mocovit_deploy.terminal.table import shortened

_MOST_NAMED = 3


def delegates(facts: ExportFacts) -> Iterator[Part]:
    """The part of a page, if any delegate is known for any file."""
    told = [(one, each) for one in facts.files for each in one.readiness]
    if not told:
        return
    rows = [
        (
            name_of(one),
            each.delegate,
            f"{each.operators - len(each.outside)} of {each.operators}",
            _why(each.outside),
        )
        for one, each in told
    ]
    header = ("file", "delegate", "operators it takes", "what it leaves, and why")
    body = [table(header, rows, numbers=(2,), stacked=True), tag("p", DRAWN, class_="faint")]
    remarks = [(name_of(one), each.delegate, _why(each.remarks)) for one, each in told if each.remarks]
    if remarks:
        body.append(
            folded("Taken, with a remark", table(("file", "delegate", "remark"), remarks, stacked=True))
        )
    yield Part("delegates", "Delegates: GPU, XNNPACK, Neural Engine", join(body))


def _why(obstacles: Sequence[Obstacle]) -> str:
    """Reasons, most frequent first, with kinds and a few modules."""
    found: dict[str, list[Obstacle]] = {}
    for one in obstacles:
        found.setdefault(one.why, []).append(one)
    lines = []
    for why, those in sorted(found.items(), key=lambda item: -len(item[1])):
        kinds = ", ".join(
            f"{count} {kind}" for kind, count in Counter(one.kind for one in those).most_common(3)
        )
        modules = list(dict.fromkeys(one.where for one in those))
        lines.append(f"{kinds}: {why} ({shortened(modules, _MOST_NAMED)})")
    return "; ".join(lines) or "nothing"


def delegates_said(found: Sequence[Readiness]) -> str:
    """The number of operators that each delegate takes, in one line."""
    return "; ".join(
        f"{one.delegate}: {one.operators - len(one.outside)} of {one.operators}" for one in found
    )
