"""What the commands do once their words are understood, and what they print."""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from benchmarks.targets import TARGETS
from mocovit_deploy.artifact import Artifact, Golden, digest, read_golden, read_manifest, size_bytes
from mocovit_deploy.errors import DeployError, ParityError, unknown_choice
from mocovit_deploy.parity.verdict import PASS, ParityReport, judge, not_run
from mocovit_deploy.printable import printable
from mocovit_deploy.quiet import quiet
from mocovit_deploy.spec import ExportRequest
from mocovit_deploy.stages import Stages
from mocovit_deploy.table import megabytes, table
from mocovit_deploy.torch_import import import_torch
from mocovit_deploy.untrusted import check_here, probe_files

if TYPE_CHECKING:
    from mocovit_deploy.export import Export
    from mocovit_deploy.models.load import Network

REPORT_SCHEMA_VERSION = 1
HOST = "host"
HEADER = ("file", "size", "runtime", "max error", "SQNR", "top-1", "verdict")


def export(request: ExportRequest, *, as_json: bool, verbose: bool) -> int:
    """Export, check, print; the exit status is the first failure's."""
    with quiet(not verbose) as stderr:
        stages = Stages(_terminal(stderr))
        with stages("files"):
            probe_files(request.model, verbose)
        with stages("imports"):
            import_torch()
            from mocovit_deploy.export import export_model, worst_error
        done = export_model(request, stages)
    if not done.network.trained:
        _note(
            f"{done.network.name} has no checkpoint: its weights are {done.network.weights}. "
            "Speed and size are real, predictions are not."
        )
    for outcome in done.outcomes:
        _print_notes(f"{outcome.format} {outcome.recipe}", outcome.report, outcome.notes)
    if as_json:
        _print_json(_export_json(done, stages))
    else:
        sys.stdout.write(printable(_export_text(done, stages, request), keep="\n"))
    error = worst_error(done)
    for outcome in done.outcomes:
        if outcome.error is not None and outcome.error is not error:
            _say(f"{outcome.format} {outcome.recipe}: {outcome.error}")
    if error is not None:
        raise error
    return 0


def summary(request: ExportRequest, *, as_json: bool, verbose: bool) -> int:
    """Print parameters, MACs and activation bytes, layer by layer."""
    with quiet(not verbose):
        probe_files(request.model, verbose)
        import_torch()

        from mocovit_deploy.capture import capture
        from mocovit_deploy.deploy_hooks import run_deploy_hooks
        from mocovit_deploy.models.load import load_network
        from mocovit_deploy.summary import render, summarize

        network = load_network(request.model)
        module = run_deploy_hooks(network.module)[0] if request.deploy_hooks else network.module
        graph = capture(module, network.inputs.for_capture(request.model.seed, free_batch=False))
        counted = summarize(module, graph)
    if as_json:
        _print_json(
            {
                "schema_version": REPORT_SCHEMA_VERSION,
                "model": network.name,
                "inputs": _input_shapes(network),
                **counted.as_json(),
            }
        )
    else:
        shapes = ", ".join(f"{n} {'x'.join(map(str, shape))}" for n, shape in _input_shapes(network).items())
        sys.stdout.write(f"{network.name} at {shapes}\n\n{render(counted)}\n")
    return 0


def _input_shapes(network: Network) -> dict[str, list[int]]:
    example = network.inputs.for_capture(0, free_batch=False)
    return {name: list(tensor.shape) for name, tensor in zip(network.input_names, example, strict=True)}


def parity(
    files: Sequence[Path], target: str, *, as_json: bool, verbose: bool, deadline_s: float | None = None
) -> int:
    """Check files from what lies beside them; all are checked before any failure ends the command.

    `target` is where they are executed: "host" in the runtime installed here, anything else as in
    `mocovit-bench --target`. `deadline_s` replaces the time that a file of its size may take.
    """
    if target not in TARGETS:
        raise unknown_choice("target", target, TARGETS)
    results: list[tuple[Path, ParityReport, DeployError | None]] = []
    for path in files:
        results.append((path, *_check_file(path, target, verbose, deadline_s)))  # noqa: PERF401 - it may print a note
    for path, report, _ in results:
        _print_notes(path.name, report)
    if as_json:
        reports = [{"file": str(path), **report.as_json()} for path, report, _ in results]
        _print_json({"schema_version": REPORT_SCHEMA_VERSION, "files": reports})
    else:
        rows = [_row(path, report) for path, report, _ in results]
        sys.stdout.write(printable(f"{table(HEADER, rows)}\n", keep="\n"))
    errors = [error for _, _, error in results if error is not None]
    for error in errors[1:]:
        _say(str(error))
    if errors:
        raise errors[0]
    return 0


def _check_file(
    path: Path, target: str, verbose: bool, deadline_s: float | None
) -> tuple[ParityReport, DeployError | None]:
    check = check_here if target == HOST else partial(_check_on, target=target)
    try:
        report, changed = check(path, verbose=verbose, deadline_s=deadline_s)
    except DeployError as error:
        return not_run(str(error)), error
    if report.verdict != PASS:
        return report, ParityError(f"{path}: parity {report.verdict}: {report.reason}")
    if changed:
        _note(f"{path} was changed after its export; what is judged is the file as it is")
    return report, None


def _check_on(
    path: Path, *, target: str, verbose: bool, deadline_s: float | None
) -> tuple[ParityReport, bool]:
    """Run the golden inputs where `mocovit-bench` would measure, and judge what comes back."""
    artifact = read_manifest(path)
    golden = read_golden(artifact)
    with quiet(not verbose):
        report = _run_on(target, artifact, golden, deadline_s)
    return report, digest(path) != artifact.sha256


def _run_on(target: str, artifact: Artifact, golden: Golden, deadline_s: float | None) -> ParityReport:
    from benchmarks.plan import counting_plan
    from benchmarks.subject import runtime_for
    from benchmarks.targets.context import Context
    from benchmarks.targets.load import load_target

    plan = counting_plan(runtime=runtime_for(artifact, None))
    if deadline_s is not None:
        plan = replace(plan, deadline_s=deadline_s)
    context = Context(golden=golden, verify=None, say=lambda _line: None)
    run = load_target(target).run_golden(artifact, plan, context)
    return judge(artifact, golden, run.outputs, run.runtime, run.arithmetic)


def _row(path: Path, report: ParityReport) -> tuple[str, ...]:
    size = megabytes(size_bytes(path)) if path.exists() else "-"
    if not report.outputs:
        return (path.name, size, report.runtime or "-", "-", "-", "-", report.verdict)
    worst = max(report.outputs, key=lambda one: (not one.finite, one.max_error))
    top1 = worst.top1_agreement
    return (
        path.name,
        size,
        f"{report.runtime}, {report.arithmetic}",
        f"{worst.max_error:.1e} of range",
        f"{worst.sqnr_db:.0f} dB",
        "-" if top1 is None else f"{top1:.0%}",
        f"{report.verdict}; {report.not_run} not run" if report.not_run else report.verdict,
    )


def _print_notes(subject: str, report: ParityReport, notes: Sequence[str] = ()) -> None:
    """What a reader of the verdict must not miss, on stderr."""
    if report.not_run:
        _note(
            f"{subject}: computed in {report.arithmetic} here; its {report.not_run} was not run and is "
            "not proven (mocovit-parity FILE --target emulated runs it on an emulated ARM core)"
        )
    for note in notes:
        _note(f"{subject}: {note}")


def _note(text: str) -> None:
    _say(f"note: {text}")


def _say(text: str) -> None:
    sys.stderr.write(printable(f"{text}\n", keep="\n"))


def _export_text(done: Export, stages: Stages, request: ExportRequest) -> str:
    lines = [f"{done.network.name}, weights {done.network.weights}"]
    for proof in done.passes.proofs:
        error = "nothing to prove" if proof.error is None else f"float64 error {proof.error:.1e}"
        refused = f", {len(proof.refusals)} refused" if proof.refusals else ""
        lines.append(f"  {proof.name:<16} {len(proof.changes):>4} changed{refused}, {error}")
    lines += [f"  refused: {refusal.where}: {refusal.why}" for refusal in done.passes.refusals]
    written = [outcome for outcome in done.outcomes if outcome.artifact is not None]
    if written:
        rows = [_row(o.artifact.path, o.report) for o in written if o.artifact is not None]
        lines += ["", table(HEADER, rows)]
        tolerances = {o.report.tolerance.max_error for o in written if o.report.tolerance is not None}
        samples = len(written[0].report.samples)
        bound = " and ".join(f"{value:.0e}" for value in sorted(tolerances))
        lines.append(f"\ntolerance {bound or 'none'}, {samples} samples, judged against the original network")
    spent = "   ".join(f"{name} {seconds:.1f} s" for name, seconds in stages.seconds.items())
    lines += [f"written to {request.output_dir}/" if written else "nothing written", spent]
    return "\n".join(lines) + "\n"


def _export_json(done: Export, stages: Stages) -> dict[str, Any]:
    from mocovit_deploy.graph import BATCH_NORMS, count

    return {
        "schema_version": REPORT_SCHEMA_VERSION,
        "model": done.network.name,
        "weights": done.network.weights,
        "trained": done.network.trained,
        "batch_norms": {
            "before": done.batch_norms_captured,
            "after": count(done.passes.graph, *BATCH_NORMS),
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
                "error": str(outcome.error) if outcome.error else None,
                "parity": outcome.report.as_json(),
            }
            for outcome in done.outcomes
        ],
        "seconds": {name: round(seconds, 3) for name, seconds in stages.seconds.items()},
        "cpu_seconds": {name: round(seconds, 3) for name, seconds in stages.cpu_seconds.items()},
        "peak_memory_bytes": _peak_memory_bytes(),
    }


def _peak_memory_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _terminal(stderr: TextIO) -> TextIO | None:
    return stderr if stderr.isatty() else None


def _print_json(document: dict[str, Any]) -> None:
    json.dump(document, sys.stdout, indent=2, allow_nan=False)
    sys.stdout.write("\n")
