"""Give a proven file its name, or put it among the rejected ones, with all that belongs beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mocovit_deploy.accuracy.breakdown import Breakdown
from mocovit_deploy.accuracy.judge import compare_answers, drop_error
from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.golden import Golden
from mocovit_deploy.artifacts.manifest import write_manifest
from mocovit_deploy.boxes.decode import Limits
from mocovit_deploy.errors import AccuracyError, DeployError, ParityError, internal, no_room
from mocovit_deploy.exporting.context import ExportContext, Outcome, Proven
from mocovit_deploy.exporting.prove import metadata_of, prove_fastest, prove_half
from mocovit_deploy.exporting.reference import yardstick_note
from mocovit_deploy.exporting.suppressed import limits_of, without_old, write_suppressed
from mocovit_deploy.files import digest
from mocovit_deploy.formats import format_named
from mocovit_deploy.parity.decide import PASS
from mocovit_deploy.parity.verdict import not_run, retold
from mocovit_deploy.ship.app_code import write_app_code
from mocovit_deploy.ship.metadata import FileMetadata


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


def publish(context: ExportContext, proven: Proven, *, accepted: bool) -> Outcome:
    """Write the verdict into the file's metadata and manifest, and move it to its name or to `rejected/`."""
    artifact, written = proven.artifact, proven.written
    report = retold(proven.report, context.staging.told)
    format_name, recipe = artifact.format, artifact.recipe
    metadata = replace(metadata_of(context, recipe), parity=report.summary())
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
