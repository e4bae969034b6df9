"""One export: from a request to proven files on disk, every step in order."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import fx

from mocovit_deploy.errors import DeployError
from mocovit_deploy.exporting.answers import ask_original
from mocovit_deploy.exporting.auto import search
from mocovit_deploy.exporting.context import ExportContext, Outcome
from mocovit_deploy.exporting.inside import look_inside
from mocovit_deploy.exporting.judging import require_judged
from mocovit_deploy.exporting.publish import write_and_prove
from mocovit_deploy.exporting.reference import calibration_samples, run_original
from mocovit_deploy.exporting.refuse import refuse_impossible
from mocovit_deploy.exporting.schemes import Schemes
from mocovit_deploy.exporting.staging import staged
from mocovit_deploy.exporting.suppressed import require_suppressible
from mocovit_deploy.graph.capture import capture
from mocovit_deploy.models.load import Network, load_network
from mocovit_deploy.passes.deploy_hooks import after_deploy_hooks
from mocovit_deploy.passes.result import PassResult
from mocovit_deploy.passes.run import run_passes, standard_passes
from mocovit_deploy.quantization.calibration import read_calibration
from mocovit_deploy.quantization.calibration_set import CalibrationSet
from mocovit_deploy.quantization.recipes import recipe_named
from mocovit_deploy.ship.app_code import require_codable
from mocovit_deploy.ship.metadata import require_fitting_labels
from mocovit_deploy.spec import AUTO, ExportRequest
from mocovit_deploy.terminal.progress import Stages


@dataclass(frozen=True)
class ExportOutcome:
    """The result of one call of `export_model`."""

    network: Network
    passes: PassResult
    captured: fx.GraphModule
    """The network before the passes."""
    outcomes: tuple[Outcome, ...]
    calibration: CalibrationSet | None = None
    """The images that ranges were taken from; None if no requested recipe has fixed ranges."""
    notes: tuple[str, ...] = ()
    """What the user must know about the labelled images."""


def export_model(request: ExportRequest, stages: Stages, live: Network | None = None) -> ExportOutcome:
    """Export one network to every requested format and precision, and prove each file.

    A file takes its name only after its verdict. A file that fails goes to `rejected/` in the output folder,
    and an older file of its name stays. One file's failure does not stop the next.

    `live` is the network itself if it does not come from `request.model`.

    Raises `UsageError`, `ConversionError` or `MissingToolError` if no file could be begun.
    """
    with stages("request"):
        refuse_impossible(request)
    with staged(request.output_dir) as staging:
        with stages("network"):
            network = load_network(request.model) if live is None else live
        with stages("reference"):
            reference = run_original(network, request)
            require_fitting_labels(request.labels, reference.output_specs(), network.task)
            require_suppressible(request, network.name, network.task, network.input.batch)
            require_judged(request, network.name, reference.output_specs(), network.task)
            if request.app_code:
                inputs = reference.input_specs(free_batch=request.dynamic_batch)
                require_codable(network.name, inputs, reference.output_specs(), network.task)
        answers = None
        if request.accuracy is not None:
            with stages("labelled images"):
                answers = ask_original(network, request.accuracy, request.labels, reference.output_specs())
        with stages("capture"):
            example = network.inputs.for_capture(request.model.seed, request.dynamic_batch)
            original = capture(network.module, example, request.dynamic_batch)
            graph, hooks = after_deploy_hooks(network.module, original, example, request)
        with stages("passes"):
            passes = run_passes(graph, example, standard_passes(request.without))
            passes = replace(passes, proofs=(*hooks, *passes.proofs))
        calibration = _calibration(request, network, stages)
        calibrated = reference
        if calibration is not None and not calibration.is_random and len(calibration) > 1:
            with stages("reference"):
                chosen = calibration_samples(calibration, network.input_names)
                calibrated = run_original(network, request, chosen)
        with stages("sensitivity"):
            inside = look_inside(network, reference.inputs, original, passes, request)
        context = ExportContext(
            request=request,
            network=network,
            reference=reference,
            calibrated=calibrated,
            captured=original,
            passes=passes,
            example=example,
            staging=staging,
            stages=stages,
            inside=inside,
            answers=answers,
            schemes=Schemes(request.calibration, calibration, stages),
        )
        outcomes = [_outcome(context, name, recipe) for name, recipe in request.files]
    notes = () if answers is None else answers.labelled.notes
    return ExportOutcome(network, passes, original, tuple(outcomes), calibration, notes)


def _outcome(context: ExportContext, format_name: str, recipe: str) -> Outcome:
    return (search if recipe == AUTO else write_and_prove)(context, format_name, recipe)


def _calibration(request: ExportRequest, network: Network, stages: Stages) -> CalibrationSet | None:
    """The images that ranges are taken from; None if no requested recipe has fixed ranges."""
    needed = any(recipe == AUTO or recipe_named(recipe).is_static for _, recipe in request.files)
    if request.calibration is None or not needed:
        return None
    with stages("calibration images"):
        return read_calibration(
            request.calibration,
            network.input if network.inputs.example is None else None,
            network.input_names,
            random=lambda most: network.inputs.for_random_calibration(request.model.seed, most),
            progress=lambda done, wanted: stages.show(f"calibration images {done} of {wanted} ..."),
        )


def worst_error(export: ExportOutcome) -> DeployError | None:
    """The error with the lowest exit status (conversion, then parity, then the rest); None without errors."""
    errors = [outcome.error for outcome in export.outcomes if outcome.error is not None]
    return min(errors, key=lambda error: error.exit_status, default=None)
