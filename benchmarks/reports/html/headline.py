"""The head of a page of several reports: which file is faster, how many times, and how certain that is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from benchmarks.reports.ratios import Ratio, ratios
from benchmarks.reports.report import CountReport, Report, differing_conditions
from mocovit_deploy.report.digits import between, beyond, figure, within
from mocovit_deploy.report.markup import Html, join, note, tag

MOST_SHOWN = 6


def headline(reports: Sequence[Report], names: Mapping[int, str]) -> Html:
    """One conclusion for each pair that may be compared; `names` are the files by the numbers of reports."""
    found = ratios(reports)
    said = [
        note(join((tag("b", _sentence(one)), f" {_how(one, reports, names)}")), kind=_kind(one))
        for one in found[:MOST_SHOWN]
    ]
    if len(found) > MOST_SHOWN:
        said.append(tag("p", f"{len(found) - MOST_SHOWN} more pairs are in the table.", class_="faint"))
    if not found and len(reports) > 1:
        said.append(tag("p", _why_none(reports), class_="faint"))
    return join(said)


def _why_none(reports: Sequence[Report]) -> str:
    first, second = reports[:2]
    if (differing := differing_conditions(first, second)) and first.kind == second.kind:
        found = "; ".join(differing)
        return f"No ratio is given: 1 and 2 were not measured in the same way: they differ in {found}."
    return "No ratio is given: no two files here were measured in the same way."


def _kind(ratio: Ratio) -> str:
    return "good headline" if ratio.decided else "headline"


def _sentence(ratio: Ratio) -> str:
    one, other = numbered(ratio.faster), numbered(ratio.slower)
    if ratio.counted:
        return f"{one} executes {figure(ratio.times)} times fewer instructions than {other}."
    sure = ratio.interval
    assert sure is not None
    if not ratio.decided:
        if not math.isfinite(sure.high):
            return f"{one} against {other}: one sample decides nothing."
        apart = between(sure.low, sure.high)
        return f"No difference between {one} and {other} is shown: the ratio is {apart}."
    times = within(ratio.times, sure.low, sure.high)
    return f"{one} is {times} times faster than {other}, {beyond(sure.low, sure.high, 1.0)}."


def _how(ratio: Ratio, reports: Sequence[Report], names: Mapping[int, str]) -> str:
    one, other = (names[side[0]] for side in (ratio.faster, ratio.slower))
    if not ratio.counted:
        ways = "measured in turn" if ratio.paired else "not measured in turn; mocovit-bench ab does that"
        return f"{one} and {other}. Ratio of medians, 95 %, {ways}."
    quick, slow = (reports[side[0] - 1] for side in (ratio.faster, ratio.slower))
    assert isinstance(quick, CountReport)
    assert isinstance(slow, CountReport)
    if quick.modelled is None or slow.modelled is None:
        return f"{one} and {other}. Counted, not timed."
    times = f"{quick.modelled.modelled_ms:.2g} against {slow.modelled.modelled_ms:.2g} ms"
    return f"{one} and {other}. Counted, not timed; modelled for {quick.modelled.device}, {times}."


def numbered(numbers: Sequence[int]) -> str:
    """ "1", "1 and 3", "1 to 6"."""
    first, last = numbers[0], numbers[-1]
    if len(numbers) > 2 and tuple(numbers) == tuple(range(first, last + 1)):
        return f"{first} to {last}"
    return " and ".join(filter(None, (", ".join(map(str, numbers[:-1])), str(last))))
