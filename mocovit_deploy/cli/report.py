"""mocovit-export --report and --card: gather what an export did as `ExportFacts`, and write it."""

from __future__ import annotations

import platform
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocovit_deploy.accuracy.breakdown import Breakdown
from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.golden import read_golden
from mocovit_deploy.artifacts.operator import ROOT_MODULE, FileOperator, by_kind
from mocovit_deploy.cli.layers import LayersOfFiles
from mocovit_deploy.errors import DeployError, OutputError
from mocovit_deploy.files import size_bytes, write_atomically
from mocovit_deploy.formats import format_named
from mocovit_deploy.graph.cost import summarize
from mocovit_deploy.parity.verdict import ParityReport
from mocovit_deploy.quantization.calibration_set import brand_of
from mocovit_deploy.report.bars import block_of
from mocovit_deploy.report.card import model_card
from mocovit_deploy.report.commit import commit
from mocovit_deploy.report.curves import Curve
from mocovit_deploy.report.export import export_page
from mocovit_deploy.report.facts import (
    AccuracyFacts,
    BlockFacts,
    Cost,
    ExportFacts,
    FileFacts,
    LayerFacts,
    Rewriting,
)
from mocovit_deploy.report.request import ReportRequest
from mocovit_deploy.search.candidate import HEADER as CANDIDATES
from mocovit_deploy.search.candidate import rows_of
from mocovit_deploy.spec import ExportRequest, Preprocessing, SearchRequest
from mocovit_deploy.terminal.progress import Stages

if TYPE_CHECKING:
    from torch import fx

    from mocovit_deploy.exporting.context import Outcome
    from mocovit_deploy.exporting.pipeline import ExportOutcome
    from mocovit_deploy.passes.result import Proof

NOT_TOLD = "not told"


def write_reports(
    done: ExportOutcome,
    request: ExportRequest,
    report: ReportRequest,
    stages: Stages,
    costs: Mapping[Path, Cost],
) -> None:
    """Write the page and the card that were asked for. Raises `OutputError` if one cannot be written."""
    facts = gather(done, request, report, stages, costs)
    for path, made in ((report.page, export_page), (report.card, model_card)):
        if path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)  # the folder of files that were all refused
                write_atomically(path, made(facts).encode())
            except OSError as error:
                raise OutputError(f"{path}: cannot be written ({error.strerror})") from None


def gather(
    done: ExportOutcome,
    request: ExportRequest,
    report: ReportRequest,
    stages: Stages,
    costs: Mapping[Path, Cost],
) -> ExportFacts:
    """The facts of an export. Layers are compared here, with a network that is built again for it."""
    network = done.network
    layers = LayersOfFiles()
    files = []
    for outcome in done.outcomes:
        with stages(f"report {outcome.format} {outcome.recipe}"):
            files.append(_file(outcome, done, layers, costs))
    how = network.input.preprocessing if network.inputs.example is None else None
    said = {name: getattr(request, name) for name in ("author", "licence", "model_version", "description")}
    bars = [one.max_drop for one in (request.accuracy, request.search) if one is not None]
    asked = next((bar for bar in bars if bar is not None), SearchRequest.max_drop)
    assumed = [f"assumed: {', '.join(how.assumed)}"] if how and how.assumed else []
    return ExportFacts(
        model=network.name,
        weights=network.weights,
        trained=network.trained,
        inputs=_inputs(done),
        preprocessing="; ".join([_preparing(how), *assumed]),
        labels=request.labels,
        said={name.replace("_", " "): value for name, value in said.items() if value},
        passes=tuple(map(_pass, done.passes.proofs)),
        operations=(_operations(done.captured), _operations(done.passes.graph)),
        blocks=() if request.dynamic_batch else _blocks(done),
        files=tuple(files),
        seconds=dict(stages.seconds),
        notes=tuple(filter(None, (network.remark, *done.notes))),
        max_drop_points=asked,
        conditions=_conditions(done, report.words),
    )


def _inputs(done: ExportOutcome) -> str:
    artifact = next((one.artifact for one in done.outcomes if one.artifact is not None), None)
    if artifact is None:
        return ", ".join(done.network.input_names)
    return ", ".join(
        f"{one.name} {'x'.join(map(str, one.shape))} {one.dtype} {one.layout}".strip()
        for one in artifact.inputs
    )


def _preparing(how: Preprocessing | None) -> str:
    if how is None:
        return "as the example input"
    if how.built_in is not None:
        return f"pixels as they are, 0 to 255, in {how.colour_order}; the file prepares them"
    mean, std = (", ".join(f"{value:g}" for value in values) for values in (how.mean, how.std))
    return f"(pixel * {how.scale:.6g} - [{mean}]) / [{std}], {how.colour_order}"


def _pass(proof: Proof) -> Rewriting:
    return Rewriting(
        name=proof.name,
        changes=tuple((one.where, one.what) for one in proof.changes),
        error=proof.error,
        refusals=tuple((one.where, one.why) for one in proof.refusals),
    )


def _lowering(one: Mapping[str, Any]) -> Rewriting:
    changes = tuple((str(change["where"]), str(change["what"])) for change in one["changes"])
    return Rewriting(name=str(one["name"]), changes=changes, error=one["error_float64"])


def _operations(graph: fx.GraphModule) -> dict[str, int]:
    """Calls of each operation, by its name without namespace, most frequent first."""
    called = (node.target for node in graph.graph.nodes if node.op == "call_function")
    counts = Counter(str(target).removeprefix("aten.").partition(".")[0] for target in called)
    return dict(counts.most_common())


def _blocks(done: ExportOutcome) -> tuple[BlockFacts, ...]:
    """Parameters and MACs of a network with static shapes."""
    found: dict[str, BlockFacts] = {}
    for layer in summarize(done.network.module, done.captured).layers:
        block = block_of(layer.layer)
        before = found.get(block, BlockFacts(block=block, parameters=0, macs=0))
        found[block] = BlockFacts(
            block=block,
            parameters=before.parameters + layer.parameters,
            macs=before.macs + int(layer.macs) + int(layer.attention_macs),
        )
    return tuple(found.values())


def _file(
    outcome: Outcome, done: ExportOutcome, layers: LayersOfFiles, costs: Mapping[Path, Cost]
) -> FileFacts:
    artifact, shown = outcome.artifact, outcome.report.decisive
    common: dict[str, Any] = {
        "format": outcome.format,
        "recipe": outcome.recipe,
        "verdict": str(outcome.report.verdict),
        "reason": outcome.report.reason,
        "error": "" if outcome.error is None else str(outcome.error),
        "notes": (*outcome.notes, *(() if shown.task is None else (shown.task.text,))),
    }
    if outcome.candidates:
        chosen = None if artifact is None else outcome.recipe
        common["candidates"] = (CANDIDATES, *rows_of(outcome.candidates, chosen))
        common["why_chosen"] = outcome.why_chosen
    if artifact is None:
        return FileFacts(name="", **common)
    exporter = format_named(artifact.format)
    operators = [one for one in exporter.operators(artifact) if not one.constant]
    return FileFacts(
        name=artifact.path.name,
        size_bytes=size_bytes(artifact.path),
        sha256=artifact.sha256,
        **_parity(shown),
        not_run=outcome.report.not_run,
        random_ranges=bool(brand_of(done.calibration, artifact.recipe)),
        rewrites=tuple(map(_lowering, artifact.lowering)),
        execution=_execution(artifact.execution),
        operators=by_kind(operators),
        weights_by_block=_weights(exporter.operators(artifact)),
        readiness=exporter.readiness(artifact),
        layers=_layers(artifact, layers),
        accuracy=_accuracy(outcome.accuracy),
        cost=costs.get(artifact.path),
        **common,
    )


def _parity(shown: ParityReport) -> dict[str, Any]:
    found: dict[str, Any] = {
        "runtime": shown.runtime,
        "arithmetic": shown.arithmetic,
        "samples": len(shown.samples),
        "flips": shown.flips,
        "tolerance": None if shown.tolerance is None else shown.tolerance.max_error,
    }
    if shown.outputs:
        worst = max(shown.outputs, key=lambda one: (not one.finite, one.max_error))
        found["own_error"], found["top1"] = worst.own_error, worst.top1_agreement
        if worst.finite:
            found["max_error"], found["sqnr_db"] = worst.max_error, worst.sqnr_db
    return found


def _weights(operators: Sequence[FileOperator]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for one in operators:
        if one.weight_bytes:
            found[block_of(one.where)] += one.weight_bytes
    return dict(found.most_common())


def _layers(artifact: Artifact, layers: LayersOfFiles) -> LayerFacts:
    name = f"{artifact.format} {artifact.recipe}"
    try:
        report = layers.check(artifact, read_golden(artifact), bisect=False)
    except DeployError as error:
        return LayerFacts(curve=Curve(name, ()), reason=str(error).removeprefix(f"{artifact.path}: "))
    # Layers of a quantized file are judged alone, each by a bound of its own, so no line can show it.
    decisive = [
        one.carried if report.steps is None or one.alone is None else one.alone for one in report.readings
    ]
    errors = tuple(one.max_error if one.finite else None for one in decisive)
    alone, bound = ("", report.bound) if report.steps is None else (", each alone", None)
    return LayerFacts(
        curve=Curve(f"{name}, computed in {report.arithmetic}{alone}", errors, bound),
        modules=tuple(one.tap.layer.module or ROOT_MODULE for one in report.readings),
        verdict=str(report.verdict),
        reason=report.reason,
        without=len(report.missing),
    )


def _accuracy(found: Breakdown | None) -> AccuracyFacts | None:
    if found is None:
        return None
    one = found.evaluation
    return AccuracyFacts(
        images=one.images,
        right=one.accuracy,
        original_right=one.reference_accuracy,
        drop_points=100 * one.drop.value,
        low_points=100 * one.drop.low,
        high_points=100 * one.drop.high,
        agreement=one.agreement,
    )


def _execution(how: Mapping[str, Any] | None) -> str:
    if how is None:
        return ""
    pieces = how["partitions"]
    return (
        f"{how['delegate']} runs it in {pieces} piece{'s'[: pieces != 1]}, {how['operators']} operators, "
        f"{how['transposes']} of them transposes, {len(how['outside'])} outside"
    )


def _conditions(done: ExportOutcome, words: Sequence[str]) -> dict[str, str]:
    tools: dict[str, str] = {}
    for outcome in done.outcomes:
        tools |= {} if outcome.artifact is None else outcome.artifact.tools
    return {
        "command": shlex.join(("mocovit-export", *words)),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit() or NOT_TOLD,
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        **tools,
    }
