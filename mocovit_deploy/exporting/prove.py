"""Write one file, judge it against the original network, and only then give it its name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from torch import Tensor, fx

from mocovit_deploy.accuracy.breakdown import Breakdown
from mocovit_deploy.accuracy.judge import compare_answers, drop_error
from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.golden import Golden, golden_path, write_golden
from mocovit_deploy.artifacts.manifest import write_manifest
from mocovit_deploy.artifacts.provenance import provenance_of
from mocovit_deploy.boxes.decode import Limits
from mocovit_deploy.errors import AccuracyError, DeployError, ParityError, internal, no_room
from mocovit_deploy.exporting.answers import OriginalAnswers
from mocovit_deploy.exporting.inside import FP32, with_rewrites
from mocovit_deploy.exporting.reference import Reference, golden_of, yardstick_note
from mocovit_deploy.exporting.schemes import Schemes
from mocovit_deploy.exporting.staging import Staging
from mocovit_deploy.exporting.suppressed import SuppressedFile, limits_of, without_old, write_suppressed
from mocovit_deploy.files import digest
from mocovit_deploy.formats import ExportJob, Format, Written, format_named
from mocovit_deploy.layers.branches import Inside, judge_branches
from mocovit_deploy.models.load import Network
from mocovit_deploy.parity.decide import PASS
from mocovit_deploy.parity.half import check_half, needs_half, with_half
from mocovit_deploy.parity.verdict import ParityReport, check_file, not_run, retold, with_hidden
from mocovit_deploy.passes.result import PassResult
from mocovit_deploy.passes.run import Pass, rewrite, run_passes
from mocovit_deploy.quantization.arithmetic import ArithmeticChoice
from mocovit_deploy.quantization.calibration_set import brand_of
from mocovit_deploy.quantization.recipes import recipe_named
from mocovit_deploy.quantization.scheme import Scheme
from mocovit_deploy.search.candidate import Candidate
from mocovit_deploy.ship.app_code import write_app_code
from mocovit_deploy.ship.metadata import FileMetadata
from mocovit_deploy.spec import ExportRequest
from mocovit_deploy.terminal.progress import Stages


@dataclass(frozen=True)
class Outcome:
    """One file that was written, judged and published; or the error that prevented it."""

    format: str
    recipe: str
    artifact: Artifact | None
    """None if nothing was written; a rejected file has both an artifact and an error."""
    report: ParityReport
    error: DeployError | None
    notes: tuple[str, ...] = ()
    accuracy: Breakdown | None = None
    """None if there are no labelled images, or the file failed before."""
    app_code: tuple[Path, ...] = ()
    """Code that loads the file, beside it."""
    suppressed: SuppressedFile | None = None
    """A second file, which suppresses a detector's boxes itself."""
    candidates: tuple[Candidate, ...] = ()
    """The candidates that a search chose it from; empty without a search."""
    why_chosen: str = ""


@dataclass(frozen=True, kw_only=True)
class ExportContext:
    """What all files of one export share."""

    request: ExportRequest
    network: Network
    reference: Reference
    calibrated: Reference
    """The same on calibration images, for files with fixed ranges; `reference` if there are none."""
    captured: fx.GraphModule
    """The network before the passes."""
    passes: PassResult
    example: tuple[Tensor, ...]
    staging: Staging
    stages: Stages
    inside: Inside
    answers: OriginalAnswers | None
    """None if files are not compared on labelled images."""
    schemes: Schemes
    """How graphs are quantized, for recipes that quantize."""

    def reference_of(self, recipe: str) -> Reference:
        """What files of a recipe are judged against."""
        return self.calibrated if recipe_named(recipe).is_static else self.reference


@dataclass(frozen=True)
class Proven:
    """A file in the staging folder with its verdict, not yet published."""

    artifact: Artifact
    golden: Golden
    written: Written
    report: ParityReport
    notes: tuple[str, ...] = ()


def write_and_prove(context: ExportContext, format_name: str, recipe: str) -> Outcome:
    """Write one file in the staging folder, judge it there, and publish it under its name or as rejected."""

    def work() -> Outcome:
        proven = prove_half(context, prove_fastest(context, format_name, recipe))
        return publish(context, proven, accepted=proven.report.verdict == PASS or not context.request.verify)

    return outcome_of(context, format_name, recipe, work)


def outcome_of(context: ExportContext, format_name: str, recipe: str, work: Callable[[], Outcome]) -> Outcome:
    """The result of `work`, or its error as an `Outcome`.

    A full disk concerns every file, so it is raised.
    """
    try:
        return work()
    except DeployError as error:
        error.args = (context.staging.told(str(error)),)
        return Outcome(format_name, recipe, None, not_run(str(error)), error)
    except Exception as error:  # a defect ends only this file
        if no_room(error):
            raise
        found = internal(error, f"{format_name} {recipe}")
        return Outcome(format_name, recipe, None, not_run(str(found)), found)


WITH_ROOM = 0.5
"""The share of its tolerance that a file with an uncertain rewrite may use up: it is tried on few samples."""


def prove_fastest(context: ExportContext, format_name: str, recipe: str, *, estimate: bool = False) -> Proven:
    """`prove`, without the rewrites that cost the file too much accuracy, which `prove_half` tells."""
    uncertain = set(format_named(format_name).uncertain(recipe))
    proven = prove(context, format_name, recipe, estimate=estimate)
    used = tuple(str(one["name"]) for one in proven.artifact.lowering if one["name"] in uncertain)
    if not used:
        return proven
    judged = prove_half(context, proven)
    why = _too_risky(context, judged.report)
    if not why:
        return judged
    note = f"{', '.join(used)} left out, with which it would be faster: {why}"
    return replace(prove(context, format_name, recipe, estimate=estimate, without=used), notes=(note,))


def _too_risky(context: ExportContext, report: ParityReport) -> str:
    """Why a file with an uncertain rewrite is not taken; empty if it was judged, and passes with room."""
    if not context.request.verify or needs_half(report):
        return "what it does to the accuracy was not measured"
    told = report.half or report
    if report.verdict != PASS or told.tolerance is None:
        return context.staging.told(report.reason)
    worst, allowed = max(one.max_error for one in told.outputs), WITH_ROOM * told.tolerance.max_error
    return "" if worst <= allowed else f"then it is off by {worst:.1e} of its range, more than {allowed:.1e}"


def prove(
    context: ExportContext,
    format_name: str,
    recipe: str,
    arithmetic: ArithmeticChoice | None = None,
    *,
    estimate: bool = False,
    without: Sequence[str] = (),
) -> Proven:
    """Write one file in the staging folder and judge it in the runtime here.

    `arithmetic` divides the operators of a mixed file; with `estimate` its instructions are estimated.
    `without` names rewrites to leave out, besides those of the request.
    """
    exporter = format_named(format_name)
    verify = context.request.verify
    with context.stages(f"rewrites {format_name} {recipe}"):
        rewrites = [rewrite(module) for module in exporter.lowerings(recipe)]
        chosen = [one for one in rewrites if one.__name__ not in (*context.request.without, *without)]
        lowered = run_passes(context.passes.graph, context.example, chosen)
    scheme = context.schemes.of(lowered) if recipe_named(recipe).quantizes else None
    with context.stages(f"{format_name} {recipe}"):
        job = _job(context, recipe, _file_name(context, exporter, recipe), scheme)
        job = replace(job, arithmetic=arithmetic, estimate=estimate)
        written = exporter.export(lowered.graph, context.example, job)
        exporter.describe(job.path, _metadata(context, recipe), written.inputs, written.outputs)
    with context.stages(f"parity {format_name} {recipe}"):
        golden = golden_of(context.reference_of(recipe), written)
        write_golden(job.path, golden)
        artifact = _artifact(context, job, format_name, written, lowered)
        report = check_file(exporter, artifact, golden) if verify else not_run("--no-verify")
    if context.inside.branches and recipe == FP32 and report.verdict == PASS:
        with context.stages(f"layers {format_name} {recipe}"):
            rewrites = [run for run, proof in zip(chosen, lowered.proofs, strict=True) if proof.changes]
            report = with_hidden(report, judge_branches(artifact, golden, _inside(context, rewrites)))
    return Proven(artifact, golden, written, report)


def prove_half(context: ExportContext, proven: Proven) -> Proven:
    """`proven`, judged in half precision as well if the file is made for it."""
    if not needs_half(proven.report):
        return proven
    artifact = proven.artifact
    with context.stages(f"fp16 arithmetic {artifact.format} {artifact.recipe}"):
        half = check_half(format_named(artifact.format), artifact, proven.golden)
    return proven if half is None else replace(proven, report=with_half(proven.report, half))


def publish(context: ExportContext, proven: Proven, *, accepted: bool) -> Outcome:
    """Write the verdict into the file's metadata and manifest, and move it to its name or to `rejected/`."""
    artifact, written = proven.artifact, proven.written
    report = retold(proven.report, context.staging.told)
    format_name, recipe = artifact.format, artifact.recipe
    metadata = replace(_metadata(context, recipe), parity=report.summary())
    format_named(format_name).describe(artifact.path, metadata, written.inputs, written.outputs)
    artifact = replace(artifact, parity=report.as_json(), sha256=digest(artifact.path))
    accuracy = _accuracy(context, artifact) if report.verdict == PASS else None
    artifact = artifact if accuracy is None else replace(artifact, accuracy=accuracy.as_json())
    write_manifest(artifact)
    lost = _lost(context, artifact.path, accuracy)
    placed = context.staging.publish(artifact.path, rejected=not accepted or lost is not None)
    failure: DeployError | None = lost and _lost(context, placed, accuracy)
    if not accepted:
        failure = ParityError(f"{placed}: parity {report.verdict}: {report.reason}")
    notes = (*written.notes, *proven.notes, *yardstick_note(context.reference_of(recipe)))
    outcome = Outcome(format_name, recipe, replace(artifact, path=placed), report, failure, notes, accuracy)
    if failure is not None:
        return outcome
    without_old(replace(artifact, path=placed))
    if limits := limits_of(artifact.task):
        outcome = _with_suppressed(context, outcome, proven.golden, metadata, limits)
    return _with_app_code(outcome, placed) if context.request.app_code else outcome


def _accuracy(context: ExportContext, artifact: Artifact) -> Breakdown | None:
    """The file's accuracy on the user's labelled images; None if there are none."""
    if context.answers is None:
        return None
    with context.stages(f"accuracy {artifact.format} {artifact.recipe}"):
        predictor = format_named(artifact.format).load(artifact)
        return compare_answers(artifact, predictor, context.answers.labelled, context.answers.reference)


def _lost(context: ExportContext, path: Path, accuracy: Breakdown | None) -> AccuracyError | None:
    if context.answers is None or accuracy is None:
        return None
    return drop_error(path, accuracy, context.answers.max_drop)


def _file_name(context: ExportContext, exporter: Format, recipe: str) -> str:
    free = "_bN" if context.request.dynamic_batch else ""
    brand = brand_of(context.schemes.calibration, recipe)
    return f"{context.network.stem}{free}_{recipe}{brand}{exporter.SUFFIX}"


def _inside(context: ExportContext, rewrites: Sequence[Pass]) -> Inside:
    """The branches that outputs hardly depend on, with the original's layers for a file with `rewrites`."""
    without = context.request.without
    return with_rewrites(
        context.inside, context.network, context.reference.inputs, context.captured, without, rewrites
    )


def _with_suppressed(
    context: ExportContext, outcome: Outcome, golden: Golden, metadata: FileMetadata, limits: Limits
) -> Outcome:
    assert outcome.artifact is not None
    with context.stages(f"suppression {outcome.format} {outcome.recipe}"):
        try:
            made = write_suppressed(outcome.artifact, golden, metadata, limits, context.staging.folder)
        except DeployError as error:
            return replace(outcome, error=error)
    return replace(outcome, suppressed=made)


def _with_app_code(outcome: Outcome, path: Path) -> Outcome:
    try:
        return replace(outcome, app_code=write_app_code(path))
    except DeployError as error:
        return replace(outcome, error=error)


def _metadata(context: ExportContext, recipe: str) -> FileMetadata:
    request = context.request
    return FileMetadata(
        model=context.network.name,
        recipe=recipe,
        weights=context.network.weights,
        preprocessing=context.network.input.preprocessing,
        labels=request.labels,
        author=request.author,
        licence=request.licence,
        version=request.model_version,
        description=request.description,
        task=context.network.task or {},
    )


def _artifact(
    context: ExportContext, job: ExportJob, format_name: str, written: Written, lowered: PassResult
) -> Artifact:
    proofs = tuple(
        {"name": proof.name, "changes": len(proof.changes), "error_float64": proof.error}
        for proof in context.passes.proofs
    )
    return Artifact(
        path=job.path,
        format=format_name,
        recipe=job.recipe,
        model=context.network.name,
        weights=context.network.weights,
        inputs=written.inputs,
        outputs=written.outputs,
        preprocessing=context.network.input.preprocessing,
        sha256=digest(job.path),
        golden_sha256=digest(golden_path(job.path)),
        tools={"mocovit-deploy": version("mocovit-deploy"), **written.tools},
        passes=proofs,
        quantization=written.quantization,
        task=context.network.task,
        execution=written.execution,
        lowering=tuple(
            {
                "name": proof.name,
                "changes": [dataclasses.asdict(change) for change in proof.changes],
                "error_float64": proof.error,
            }
            for proof in lowered.proofs
            if proof.changes
        ),
        source=provenance_of(context.request),
    )


def _job(context: ExportContext, recipe: str, file_name: str, scheme: Scheme | None) -> ExportJob:
    request, reference = context.request, context.reference
    scored = context.network.task is not None  # then no output is an image
    return ExportJob(
        path=context.staging.folder / file_name,
        recipe=recipe,
        inputs=reference.input_specs(free_batch=request.dynamic_batch, layout="nchw"),
        outputs=reference.output_specs(free_batch=request.dynamic_batch, layout="" if scored else "nchw"),
        layout=request.layout,
        opset=request.opset,
        simplify=request.simplify,
        dynamic_batch=request.dynamic_batch,
        minimum_deployment_target=request.minimum_deployment_target,
        colour_order=context.network.input.preprocessing.colour_order,
        converter=request.converter,
        labels=request.labels,
        scheme=scheme,
    )
