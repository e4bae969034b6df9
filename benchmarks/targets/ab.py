"""`ab A B`: which of two files is faster. Exact counts are taken once of each; times are taken in turn."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.reports.compare import compare_reports, describe_comparison
from benchmarks.reports.report import LatencyReport
from benchmarks.reports.statistics import PairedDifference, paired
from benchmarks.reports.text import describe_report, ms
from benchmarks.targets.context import MeasuringTarget, Prepared, Say, refuse_unsteady


def count_both(target: MeasuringTarget, sides: Sequence[Prepared], say: Say) -> dict[str, Any]:
    """Count A and B. Prints the report of A and the lines that differ in B.

    Returns both "reports" and their "comparison". Raises the errors of the target and of `compare_reports`.
    """
    reports = [target.measure(side.artifact, side.plan, side.context) for side in sides]
    first, second = ([*describe_report(report)] for report in reports)
    differing = [line for line in second[1:] if line not in first]
    for line in (
        *first,
        second[0],
        *differing,
        *(["  the rest is equal"] if len(differing) < len(first) - 1 else []),
    ):
        say(line)
    (comparison,) = compare_reports(reports[:1], reports[1:])
    say(f"{comparison.old_file} against {comparison.new_file}: {describe_comparison(comparison)}")
    return {"reports": reports, "comparison": comparison}


def time_in_turn(
    target: MeasuringTarget, sides: Sequence[Prepared], say: Say, *, rounds: int
) -> dict[str, Any]:
    """Measure in the order A B B A A B ..., so that slow drifts are in both halves of a pair and cancel.

    Returns all "reports" and the "paired" difference. Raises the errors of the target, and
    `TransientDeviceError` for a phone that does not get steady.
    """
    measured: list[list[LatencyReport]] = [[], []]
    for turn in range(rounds):
        for which in (0, 1) if turn % 2 == 0 else (1, 0):
            side, context = sides[which], sides[which].context
            if measured[which]:  # outputs do not change between rounds; one check is enough
                context = dataclasses.replace(context, checked=measured[which][0].verified)
            report = target.measure(side.artifact, side.plan, context)
            refuse_unsteady([report])
            if isinstance(report, LatencyReport):
                measured[which].append(report)
    medians = [[statistics.median(report.samples_ms) for report in side] for side in measured]
    found = paired(*medians)
    names = [side.artifact.path.name for side in sides]
    say(_line(names, found, medians))
    return {"reports": [*measured[0], *measured[1]], "paired": found}


def _line(names: Sequence[str], found: PairedDifference, medians: Sequence[Sequence[float]]) -> str:
    a, b = names
    first, second = (ms(statistics.median(side)) for side in medians)
    line = f"{b} takes {found.ratio:.3f} times as long as {a} (p50 {second} against {first} ms"
    if found.interval_ms is not None:
        low, high = found.interval_ms.low, found.interval_ms.high
        line += f"; {found.median_difference_ms:+.3g} ms a pair, between {low:+.3g} and {high:+.3g}"
    line += f"; {found.rounds} pairs)"
    return line if found.decided else f"{line}; may be no difference: raise --rounds"
