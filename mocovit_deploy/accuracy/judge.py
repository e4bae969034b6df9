"""One file on labelled images: its answers beside the original network's."""

from __future__ import annotations

from pathlib import Path

from mocovit_deploy.accuracy.answers import file_answers
from mocovit_deploy.accuracy.breakdown import Breakdown, break_down
from mocovit_deploy.accuracy.evaluate import Classes
from mocovit_deploy.accuracy.folder import KnownClasses
from mocovit_deploy.accuracy.labelled import Labelled
from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.provenance import labels_of
from mocovit_deploy.errors import AccuracyError, UsageError
from mocovit_deploy.formats import Predictor


def known_classes(artifact: Artifact) -> KnownClasses:
    """The classes of a file that gives one (batch, classes), with the labels of its export."""
    return KnownClasses(int(artifact.outputs[0].shape[-1]), labels_of(artifact))


def require_fitting(labelled: Labelled, known: KnownClasses, subject: str, data: str) -> None:
    """Raise `UsageError` for a label beyond the classes of `subject`."""
    if (largest := int(labelled.labels.max())) >= known.count:
        raise UsageError(
            f"{data}: has labels up to {largest}, {subject} knows classes 0 to {known.count - 1}"
        )


def compare_answers(
    artifact: Artifact, predictor: Predictor, labelled: Labelled, reference: Classes
) -> Breakdown:
    """Run a file on every image and set its answers beside `reference`, the network's own, (images,).

    Works without torch. Raises `UsageError` for a file that takes several images at once and their number
    does not divide the images'.
    """
    tensors = labelled.tensors(artifact.preprocessing)
    found = file_answers(artifact, predictor, tensors, len(labelled.labels))
    return break_down(labelled.labels, reference, found, labelled.names)


def drop_error(path: Path, found: Breakdown, max_drop: float | None) -> AccuracyError | None:
    """The error of a file that may lose more than `max_drop` points; None if it holds.

    What counts is the upper end of the drop's 95 % interval, and an image without an answer is an error.
    """
    if max_drop is None:
        return None
    evaluation = found.evaluation
    if evaluation.without_answer:
        return AccuracyError(f"{path}: gives NaN or infinity on {evaluation.without_answer} images")
    drop = evaluation.drop
    if 100 * drop.high <= max_drop:
        return None
    hint = "" if 100 * drop.value > max_drop else "; more images make the interval narrower"
    return AccuracyError(
        f"{path}: loses {100 * drop.value:.2f} points of accuracy, and up to {100 * drop.high:.2f} by the "
        f"95 % interval on {evaluation.images:,} images; at most {max_drop:g} are allowed{hint}"
    )
