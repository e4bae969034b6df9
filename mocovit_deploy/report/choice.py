"""Choose the file to take on each platform by a fixed rule, and say why.

Among the files of a format that passed, the rule goes in this order:

    accuracy   keep those whose loss is within the bar, by the upper end of its interval; if there are none,
               keep the one with the least loss
    time       take the fastest, if all of them were counted or timed on one target
    size       else take the smallest; among files within 2 % of it, the one with the smallest error

Files with ranges from random inputs are only for measuring speed, and are never recommended.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mocovit_deploy.report.facts import ExportFacts, FileFacts
from mocovit_deploy.terminal.table import megabytes

PLATFORMS = {"tflite": "Android", "coreml": "iPhone, iPad and Mac", "onnx": "ONNX Runtime"}
SAME_SIZE = 1.02
SAME_POINTS = 0.01
KEEPS = "loses at most"


@dataclass(frozen=True)
class Choice:
    """The file to take for one platform; `file` is None if no file can be taken."""

    platform: str
    file: FileFacts | None
    why: str


def choices_of(facts: ExportFacts) -> tuple[Choice, ...]:
    """One choice for each requested format, in order."""
    formats = dict.fromkeys(one.format for one in facts.files)
    return tuple(_choice(facts, name) for name in formats)


def caveats_of(facts: ExportFacts) -> tuple[str, ...]:
    """Warnings that belong to the choices: random weights, no times, no accuracy."""
    found = []
    if not facts.trained:
        found.append(
            f"The weights are {facts.weights}: size and speed are real, what the files predict is not."
        )
    if facts.files and not any(one.cost and one.cost.milliseconds for one in facts.files):
        found.append("Nothing was timed: --measure emulated counts, --measure adb times on a phone.")
    if facts.trained and not any(one.accuracy for one in facts.files):
        found.append("Accuracy was not measured: give labelled images with --data.")
    return tuple(found)


def _choice(facts: ExportFacts, format_name: str) -> Choice:
    platform = PLATFORMS.get(format_name, format_name)
    asked = [one for one in facts.files if one.format == format_name]
    usable = [one for one in asked if one.usable and not one.random_ranges]
    if not usable:
        reasons = "; ".join(f"{one.recipe}: {_why_not(one)}" for one in asked)
        return Choice(platform, None, f"Take none. {reasons}.")
    kept, by_accuracy = _by_accuracy(usable, facts.max_drop_points)
    best, by_cost = _by_cost(kept, len(asked))
    first = by_cost if len(kept) > 1 else _only(len(asked), len(usable), by_accuracy)
    said = filter(None, (first, by_accuracy, *_proof(best)))
    return Choice(platform, best, "; ".join(said) + ".")


def _why_not(one: FileFacts) -> str:
    if one.usable:
        return "its ranges come from random inputs"
    return one.error or f"{one.verdict}: {one.reason}"


def _only(asked: int, usable: int, by_accuracy: str) -> str:
    if asked == 1:
        return "The only one asked for"
    if usable == 1:
        return "The only one that passed"
    return "The only one of them" if by_accuracy.startswith(KEEPS) else "The one that loses least"


def _by_accuracy(files: Sequence[FileFacts], bar_points: float) -> tuple[list[FileFacts], str]:
    """The files whose loss is known to be small enough, else those with the least loss; and the reason."""
    known = [(one, one.accuracy.high_points) for one in files if one.accuracy is not None]
    if not known:
        return list(files), ""
    if kept := [one for one, high in known if high <= bar_points]:
        return kept, f"{KEEPS} {bar_points:g} points of accuracy"
    least = min(high for _, high in known)
    images = max(one.accuracy.images for one, _ in known if one.accuracy)
    at_most = math.ceil(least * 10 - 1e-6) / 10
    said = f"{images:,} images show of no file that it loses at most {bar_points:g} points; this one may lose"
    return [one for one, high in known if high <= least + SAME_POINTS], f"{said} {at_most:g}"


def _by_cost(files: Sequence[FileFacts], asked: int) -> tuple[FileFacts, str]:
    """The file to take of `files`, which remain of the `asked` requested ones; and the reason."""
    of = f" of {asked}" if asked > 1 else ""
    timed = [one for one in files if one.cost is not None and one.cost.milliseconds is not None]
    targets = {one.cost.target for one in timed if one.cost}
    if len(timed) == len(files) and len(targets) == 1:
        best = min(timed, key=lambda one: one.cost.milliseconds or 0.0 if one.cost else 0.0)
        assert best.cost is not None
        return best, f"The fastest{of} ({cost_said(best)})"
    smallest = min(one.size_bytes for one in files)
    near = [one for one in files if one.size_bytes <= SAME_SIZE * smallest]
    best = min(near, key=lambda one: (one.max_error is None, one.max_error or 0.0))
    size = megabytes(best.size_bytes)
    if len(near) == len(files) == asked:
        every = "Both" if asked == 2 else f"All {asked}"
        return best, f"{every} are of one size ({size}), and this one is the nearest to the original"
    alike = ", and of its size the nearest to the original" if len(near) > 1 else ""
    return best, f"The smallest{of} ({size}){alike}"


def cost_said(one: FileFacts) -> str:
    """Milliseconds and their target, as text; empty if there are none."""
    return one.cost.time if one.cost is not None and one.cost.milliseconds is not None else ""


def _proof(one: FileFacts) -> tuple[str, ...]:
    error = "" if one.max_error is None else f"largest error {one.max_error:.1e} of the output's range"
    allowed = f", {one.tolerance:.0e} allowed" if error and one.tolerance is not None else ""
    missing = f"{one.not_run} was not run" if one.not_run else ""
    return (f"{error}{allowed}", missing)
