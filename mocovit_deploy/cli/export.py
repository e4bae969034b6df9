"""mocovit-export: export a network and print what came of it."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import resource
import shlex
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocovit_deploy.choices import RUNTIMES_OF
from mocovit_deploy.cli.accuracy import accuracy_text
from mocovit_deploy.cli.output import (
    HEADER,
    REPORT_SCHEMA_VERSION,
    note,
    print_json,
    print_notes,
    say,
    task_lines,
    terminal,
    verdict_row,
)
from mocovit_deploy.errors import DeployError
from mocovit_deploy.exporting.refuse import refuse_impossible
from mocovit_deploy.extras import import_torch
from mocovit_deploy.models.probe import probe_files
from mocovit_deploy.models.source import source_for
from mocovit_deploy.report.facts import Cost
from mocovit_deploy.report.request import ReportRequest
from mocovit_deploy.search.candidate import HEADER as CANDIDATES
from mocovit_deploy.search.candidate import rows_of
from mocovit_deploy.spec import ExportRequest, Preprocessing
from mocovit_deploy.terminal.colour import painted
from mocovit_deploy.terminal.printable import printable
from mocovit_deploy.terminal.progress import Stages
from mocovit_deploy.terminal.quiet import quiet
from mocovit_deploy.terminal.table import shortened, table

if TYPE_CHECKING:
    from mocovit_deploy.exporting.context import Outcome
    from mocovit_deploy.exporting.pipeline import ExportOutcome
    from mocovit_deploy.exporting.suppressed import SuppressedFile


SELDOM = (100_000, 20, 50)
"""Thresholds of the garbage collector's three generations (`gc.set_threshold`)."""
HEADER_EXPLAINED = """\
of range: relative to the range of the original's outputs; torch float32: the error of torch itself
SQNR: signal to noise of the outputs, more is better; top-1: how often both name the same class"""
"""What the words in the table's header mean (docs/glossary.md)."""
CHANGES_SHOWN = 3
"""How many members of a list a line names without --verbose."""


def run_export(request: ExportRequest, report: ReportRequest, *, as_json: bool, verbose: bool) -> int:
    """Export, check, measure and report what `request` and `report` ask for, and print it.

    Returns 0 if every file was written and passed. Else raises the worst error after everything is printed.
    """
    with quiet(not verbose) as stderr, _seldom_collecting():
        stages = Stages(terminal(stderr))
        with stages("request"):
            source_for(request.model.name)
            refuse_impossible(request)
            report.require_writable(request.output_dir)
        with stages("files"):
            probe_files(request.model, verbose)
        with stages("imports"):
            import_torch()
            from mocovit_deploy.exporting.pipeline import export_model, worst_error
        done = export_model(request, stages)
        costs: dict[Path, Cost] = {}
        unmeasured: list[DeployError] = []
        if report.measure is not None:
            from mocovit_deploy.cli.measure import measure_files

            costs, unmeasured = measure_files(done, report.measure, stages)
        if report.paths:
            from mocovit_deploy.cli.report import write_reports

            write_reports(done, request, report, stages, costs)
    if not done.network.trained:
        note(
            f"{done.network.name} has no checkpoint: its weights are {done.network.weights}. "
            "Speed and size are real, predictions are not."
        )
    how = done.network.input.preprocessing
    how = how.built_in or how
    if done.network.trained and done.network.inputs.example is None and how.assumed:
        note(_assumption(how))
    if done.network.remark:
        note(done.network.remark)
    for text in done.notes:
        note(text)
    for text in () if done.calibration is None else done.calibration.notes:
        note(text)
    for outcome in done.outcomes:
        print_notes(f"{outcome.format} {outcome.recipe}", outcome.report, outcome.notes)
    if as_json:
        print_json(_export_json(done, stages, costs))
    else:
        lines = _export_text(done, stages, request, costs, verbose)
        lines += [f"{path}: written" for path in report.paths]
        sys.stdout.write(painted(printable("\n".join(lines) + "\n", keep="\n"), sys.stdout))
    error = worst_error(done) or next(iter(unmeasured), None)
    for outcome in done.outcomes:
        if outcome.error is not None and outcome.error is not error:
            say(f"{outcome.format} {outcome.recipe}: {outcome.error}")
            if verbose:
                traceback.print_exception(outcome.error)
    if error is not None:
        raise error
    return 0


@contextlib.contextmanager
def _seldom_collecting() -> Iterator[None]:
    """Inside the block, Python's garbage collector runs a hundred times less often.

    Graphs are millions of small objects that live to the end. Searching them for unused cycles again and
    again takes a sixth of an export.
    """
    before = gc.get_threshold()
    gc.set_threshold(*SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _assumption(how: Preprocessing) -> str:
    options = ", ".join(f"--{name.replace('_', '-')}" for name in how.assumed)
    return (
        f"the {', '.join(how.assumed).replace('_', ' ')} of its images are assumed: "
        f"(pixel * {how.scale:.6g} - {list(how.mean)}) / {list(how.std)}, {how.colour_order}; "
        f"if it was trained otherwise, say so with {options}"
    )


def _export_text(
    done: ExportOutcome, stages: Stages, request: ExportRequest, costs: Mapping[Path, Cost], verbose: bool
) -> list[str]:
    lines = [f"{done.network.name}, weights {done.network.weights}"]
    idle = [proof.name for proof in done.passes.proofs if not proof.changes and not proof.refusals]
    for proof in done.passes.proofs:
        if proof.name in idle:
            continue
        error = "nothing to prove" if proof.error is None else f"float64 error {proof.error:.1e}"
        refused = f", {len(proof.refusals)} refused" if proof.refusals else ""
        lines.append(f"  {proof.name:<18} {len(proof.changes):>4} changed{refused}, {error}")
    lines += [f"  nothing to do: {', '.join(idle)}"] if idle else []
    lines += [f"  refused: {refusal.where}: {refusal.why}" for refusal in done.passes.refusals]
    for outcome in done.outcomes:
        lines += _candidate_lines(outcome)
    written = [outcome for outcome in done.outcomes if outcome.artifact is not None]
    for outcome in written:
        lines += [*_lowering_lines(outcome, verbose), *_execution_lines(outcome, verbose)]
    if written:
        rows = [verdict_row(o.artifact.path, o.report) for o in written if o.artifact is not None]
        lines += ["", table(HEADER, rows)]
        lines += task_lines([(o.artifact.path.name, o.report) for o in written if o.artifact is not None])
        shown = [o.report.decisive for o in written]
        tolerances = {report.tolerance.max_error for report in shown if report.tolerance is not None}
        counts = sorted({len(report.samples) for report in shown})
        samples = " or ".join(map(str, counts))
        bound = " or ".join(f"{value:.0e}" for value in sorted(tolerances)) or "none"
        lines += [
            "",
            f"compared with the original network in float64 on {samples} samples; tolerance {bound}",
            HEADER_EXPLAINED,
        ]
    measured = [(o.artifact, o.accuracy) for o in written if o.artifact and o.accuracy]
    lines += ["", accuracy_text(measured), ""] if measured else []
    lines += [f"{path.name}: {cost.said}" for path, cost in costs.items()]
    lines += [outcome.suppressed.text for outcome in written if outcome.suppressed]
    codes = [", ".join(path.name for path in outcome.app_code) for outcome in written if outcome.app_code]
    lines += [f"code for apps: {names}" for names in codes]
    lines.append(f"written to {request.output_dir}/" if written else "nothing written")
    lines += [] if costs else _next_lines(written)
    return [*lines, _seconds_line(stages.seconds, verbose)]


def _next_lines(written: Sequence[Outcome]) -> list[str]:
    """How to measure the first file that passed and that a runtime of the targets reads; [] without one."""
    for outcome in written:
        if outcome.artifact is not None and outcome.error is None and RUNTIMES_OF.get(outcome.format):
            path = shlex.quote(str(outcome.artifact.path))
            return [f"next: mocovit-bench run {path} --target host; on an ARM core: emulated or adb"]
    return []


def _seconds_line(seconds: Mapping[str, float], verbose: bool) -> str:
    """The seconds of the longest stages, or with `verbose` of all stages in their order."""
    if verbose:
        return "   ".join(f"{name} {spent:.1f} s" for name, spent in seconds.items())
    longest = sorted(seconds.items(), key=lambda item: -item[1])
    shown = shortened([f"{name} {spent:.1f} s" for name, spent in longest], CHANGES_SHOWN)
    return f"{sum(seconds.values()):.0f} s in all: {shown}"


def _lowering_lines(outcome: Outcome, verbose: bool) -> list[str]:
    """What the format rewrote for one file: one line for each rewrite; with `verbose` one for each module."""
    assert outcome.artifact is not None
    lines = []
    for one in outcome.artifact.lowering:
        changes = one["changes"]
        lines.append(
            f"  {one['name']:<22} {len(changes):>4} changed, float64 error {one['error_float64']:.1e}"
        )
        if verbose:
            lines += [f"    {change['where']}: {change['what']}" for change in changes]
        else:
            modules = list(dict.fromkeys(change["where"] for change in changes))
            lines[-1] += f": {shortened(modules, CHANGES_SHOWN)}"
    return [f"rewritten for {outcome.format} {outcome.recipe}:", *lines] if lines else []


def _execution_lines(outcome: Outcome, verbose: bool) -> list[str]:
    """How the runtime will divide a file's operators, and which ones its delegate will not take."""
    assert outcome.artifact is not None
    how = outcome.artifact.execution
    if how is None:
        return []
    pieces, outside = how["partitions"], how["outside"]
    text = f"{outcome.format} {outcome.recipe} in {how['delegate']}: {pieces} partition{'s'[: pieces != 1]}, "
    text += f"{how['operators']} operators, {how['transposes']} of them transposes, {len(outside)} outside"
    told = [f"{one['kind']} of {one['where']}, as {one['why']}" for one in outside]
    if verbose or not told:
        return [text, *(f"  outside: {line}" for line in told)]
    return [text, f"  outside: {shortened(told, CHANGES_SHOWN)}"]


def _candidate_lines(outcome: Outcome) -> list[str]:
    """The candidates that a search compared for one file, and why it chose one."""
    if not outcome.candidates:
        return []
    chosen = None if outcome.artifact is None else outcome.recipe
    return [
        "",
        f"candidates for {outcome.format}:",
        table(CANDIDATES, rows_of(outcome.candidates, chosen)),
        outcome.why_chosen,
    ]


def _export_json(done: ExportOutcome, stages: Stages, costs: Mapping[Path, Cost]) -> dict[str, Any]:
    from mocovit_deploy.graph.edit import BATCH_NORMS, count_calls

    return {
        "schema_version": REPORT_SCHEMA_VERSION,
        "model": done.network.name,
        "weights": done.network.weights,
        "trained": done.network.trained,
        "batch_norms": {
            "before": count_calls(done.captured, *BATCH_NORMS),
            "after": count_calls(done.passes.graph, *BATCH_NORMS),
        },
        "passes": [
            {
                "name": proof.name,
                "error_float64": proof.error,
                "bound": proof.bound,
                "changes": [vars(change) for change in proof.changes],
                "refusals": [vars(refusal) for refusal in proof.refusals],
            }
            for proof in done.passes.proofs
        ],
        "refusals": [vars(refusal) for refusal in done.passes.refusals],
        "files": [
            {
                "format": outcome.format,
                "recipe": outcome.recipe,
                "path": str(outcome.artifact.path) if outcome.artifact else None,
                "sha256": outcome.artifact.sha256 if outcome.artifact else None,
                "app_code": [str(path) for path in outcome.app_code],
                "suppressed": _plain(outcome.suppressed),
                "lowering": list(outcome.artifact.lowering) if outcome.artifact else [],
                "execution": outcome.artifact.execution if outcome.artifact else None,
                "notes": list(outcome.notes),
                "error": str(outcome.error) if outcome.error else None,
                "exit_status": outcome.error.exit_status if outcome.error else 0,
                "candidates": [one.as_json() for one in outcome.candidates],
                "why_chosen": outcome.why_chosen,
                "parity": outcome.report.as_json(),
                "accuracy": outcome.accuracy.as_json() if outcome.accuracy else None,
                "measured": _cost_json(outcome, costs),
            }
            for outcome in done.outcomes
        ],
        "seconds": {name: round(seconds, 3) for name, seconds in stages.seconds.items()},
        "cpu_seconds": {name: round(seconds, 3) for name, seconds in stages.cpu_seconds.items()},
        "peak_memory_bytes": _peak_memory_bytes(),
    }


def _plain(found: SuppressedFile | None) -> dict[str, Any] | None:
    return None if found is None else {**dataclasses.asdict(found), "path": str(found.path)}


def _cost_json(outcome: Outcome, costs: Mapping[Path, Cost]) -> dict[str, Any] | None:
    cost = None if outcome.artifact is None else costs.get(outcome.artifact.path)
    return None if cost is None else dataclasses.asdict(cost)


def _peak_memory_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
