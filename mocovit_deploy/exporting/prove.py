"""Write one file in the staging folder and judge it against the original network."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version

from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.golden import golden_path, write_golden
from mocovit_deploy.artifacts.provenance import provenance_of
from mocovit_deploy.exporting.context import ExportContext, Proven
from mocovit_deploy.exporting.inside import FP32, with_rewrites
from mocovit_deploy.exporting.reference import golden_of
from mocovit_deploy.files import digest
from mocovit_deploy.formats import ExportJob, Format, Written, format_named
from mocovit_deploy.layers.branches import Inside, judge_branches
from mocovit_deploy.parity.decide import PASS
from mocovit_deploy.parity.half import check_half, needs_half, with_half
from mocovit_deploy.parity.verdict import ParityReport, check_file, not_run, with_hidden
from mocovit_deploy.passes.result import PassResult
from mocovit_deploy.passes.run import Pass, rewrite, run_passes
from mocovit_deploy.quantization.arithmetic import ArithmeticChoice
from mocovit_deploy.quantization.calibration_set import brand_of
from mocovit_deploy.quantization.recipes import recipe_named
from mocovit_deploy.quantization.scheme import Scheme
from mocovit_deploy.ship.metadata import FileMetadata

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
        exporter.describe(job.path, metadata_of(context, recipe), written.inputs, written.outputs)
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


def metadata_of(context: ExportContext, recipe: str) -> FileMetadata:
    """What a file of `recipe` says of itself."""
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
