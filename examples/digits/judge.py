"""The accuracy of each exported file on held-out images, compared with the float network's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mocovit_deploy.accuracy.evaluate import Classes, Evaluation, evaluate
from mocovit_deploy.errors import AccuracyError, DeployError
from mocovit_deploy.formats import format_named

if TYPE_CHECKING:
    from examples.digits.data import Split
    from mocovit_deploy.exporting.context import Outcome
    from mocovit_deploy.spec import ModelSpec


@dataclass(frozen=True)
class Row:
    """One format and precision: the file and its accuracy, or the error that prevented them."""

    format: str
    recipe: str
    path: Path | None
    runtime: str
    parity: str
    evaluation: Evaluation | None
    error: DeployError | None


@dataclass(frozen=True)
class Question:
    """The held-out images, their true classes, and the classes that the float network gives.

    `labels` and `reference` have shape (images,).
    """

    split: Split
    labels: Classes
    reference: Classes


def ask(spec: ModelSpec, images: int) -> Question:
    """Run the float network of `spec` on the first `images` held-out images."""
    from examples.digits import data
    from examples.digits.reference import answers
    from mocovit_deploy.models.load import load_network
    from mocovit_deploy.spec import InputSpec

    split, network = data.held_out(), load_network(spec)
    assert isinstance(spec.input, InputSpec)
    labels = split.labels[[index % len(split.labels) for index in range(images)]]
    return Question(split, labels, answers(network.module, split, spec.input, images))


def rows(
    spec: ModelSpec,
    format_name: str,
    recipes: Sequence[str],
    output_dir: Path,
    question: Question,
    images: int,
) -> list[Row]:
    """Export `spec` to one format in `recipes`, and measure each file on the first `images` held-out images.

    An error does not end this: it becomes the `error` of its row.
    """
    from mocovit_deploy.exporting.pipeline import export_model
    from mocovit_deploy.spec import CalibrationRequest, ExportRequest
    from mocovit_deploy.terminal.progress import Stages

    request = ExportRequest(
        model=spec,
        formats=(format_name,),
        precisions=tuple(recipes),
        output_dir=output_dir,
        calibration=CalibrationRequest("examples.digits.data:training_pictures"),
    )
    try:
        outcomes = export_model(request, Stages()).outcomes
    except DeployError as error:
        return [Row(format_name, recipe, None, "-", "not run", None, error) for recipe in recipes]
    return [_row(outcome, question, images) for outcome in outcomes]


def _row(outcome: Outcome, question: Question, images: int) -> Row:
    from examples.digits.exported import answers

    artifact = outcome.artifact
    runtime, evaluation, error = "-", None, outcome.error
    if artifact is not None:
        try:
            predictor = format_named(artifact.format).load(artifact)
            runtime = f"{predictor.runtime}, {predictor.arithmetic}"
            found = answers(artifact, predictor, question.split, images)
            evaluation = evaluate(question.labels[:images], question.reference[:images], found)
        except DeployError as failure:
            error = error or failure
    if evaluation is not None and evaluation.without_answer and error is None:
        error = AccuracyError(f"NaN or infinity on {evaluation.without_answer} of {images} images")
    path = artifact.path if artifact is not None else None
    return Row(outcome.format, outcome.recipe, path, runtime, outcome.report.verdict, evaluation, error)


def judged(row: Row, max_drop: float | None) -> Row:
    """The row, with an `AccuracyError` where its drop may be larger than `max_drop` (a share of the images).

    The drop may be larger where its 95 % interval reaches beyond `max_drop`. None allows any drop.
    """
    if max_drop is None or row.error is not None or row.evaluation is None:
        return row
    drop = row.evaluation.drop
    if drop.high <= max_drop:
        return row
    error = AccuracyError(
        f"accuracy may have dropped by {drop.high:.2%}, and {max_drop:.2%} is allowed; measured "
        f"{drop.value:.2%} on {row.evaluation.images} images"
    )
    return replace(row, error=error)
