"""What commands print: notes and errors on stderr, verdicts and JSON on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from mocovit_deploy.artifacts.manifest import manifest_path
from mocovit_deploy.files import size_bytes
from mocovit_deploy.parity.decide import NOT_RUN, PASS, by_own_rounding
from mocovit_deploy.parity.verdict import ParityReport
from mocovit_deploy.terminal.printable import printable
from mocovit_deploy.terminal.table import megabytes

REPORT_SCHEMA_VERSION = 1
HEADER = ("file", "size", "runtime", "max error", "torch float32", "SQNR", "top-1", "verdict")


def verdict_row(path: Path, report: ParityReport) -> tuple[str, ...]:
    """The cells of one file under `HEADER`."""
    ours = path.is_file() or (path.is_dir() and manifest_path(path).exists())
    size = megabytes(size_bytes(path)) if ours else "-"
    shown = report.decisive
    if not shown.outputs:
        return (path.name or str(path), size, shown.runtime or "-", "-", "-", "-", "-", report.verdict)
    worst = max(shown.outputs, key=lambda one: (not one.finite, one.max_error))
    top1 = worst.top1_agreement
    verdict: str = report.verdict
    leaning = [one for one in shown.outputs if shown.tolerance and by_own_rounding(one, shown.tolerance)]
    if verdict == PASS and leaning:
        verdict = f"{PASS}; as near as torch's own float32"
    if report.hidden:
        verdict += f"; {branches(len(report.hidden))} by layers"
    return (
        path.name,
        size,
        f"{shown.runtime}, {shown.arithmetic}",
        f"{worst.max_error:.1e} of range" if worst.finite else "not finite",
        "-" if worst.own_error is None else f"{worst.own_error:.1e}",
        f"{worst.sqnr_db:.0f} dB" if worst.finite else "-",
        "-" if top1 is None else f"{top1:.0%}",
        f"{verdict}; {report.not_run} not run" if report.not_run else verdict,
    )


def task_lines(checked: Sequence[tuple[str, ParityReport]]) -> list[str]:
    """For segmenters and detectors, what the error of each file means; `checked` holds names and reports."""
    shown = [(name, report.decisive.task) for name, report in checked]
    return [f"{name}: {task.text}" for name, task in shown if task is not None]


def print_notes(subject: str, report: ParityReport, notes: Sequence[str] = ()) -> None:
    """Print on stderr what the verdict leaves open: arithmetic that was not run, flips, unjudged branches."""
    if report.not_run:
        note(
            f"{subject}: computed in {report.arithmetic} here; its {report.not_run} was not run and is not "
            "proven (to run it in numpy, install onnx or ai-edge-litert; to run it on an emulated ARM core, "
            "use mocovit-parity FILE --target emulated)"
        )
    for flip in report.decisive.flips:
        note(f"{subject}: {flip}")
    unjudged = [one for one in report.hidden if one.verdict == NOT_RUN]
    if unjudged:
        first = unjudged[0]
        note(
            f"{subject}: {branches(len(unjudged))} not judged: without {first.module} the outputs change by "
            f"only {first.change:.1e} of their range, and its layers could not be compared: {first.reason}"
        )
    for text in notes:
        note(f"{subject}: {text}")


def branches(count: int) -> str:
    """ "1 branch", "2 branches"."""
    return f"{count} branch{'es' if count > 1 else ''}"


def note(text: str) -> None:
    """Print a note on stderr."""
    say(f"note: {text}")


def say(text: str) -> None:
    """Print a line on stderr, with control characters shown as escapes."""
    sys.stderr.write(printable(f"{text}\n", keep="\n"))


def terminal(stderr: TextIO) -> TextIO | None:
    """`stderr` if it is a terminal, for progress; else None."""
    return stderr if stderr.isatty() else None


def print_json(document: dict[str, Any]) -> None:
    """Print a JSON document on stdout. Raises `ValueError` for NaN or infinity."""
    json.dump(document, sys.stdout, indent=2, allow_nan=False)
    sys.stdout.write("\n")
