"""Compare one file's answers on labelled images with the original network's."""

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
    """The classes of a file that returns one (batch, classes), with the labels of its export."""
    return KnownClasses(int(artifact.outputs[0].shape[-1]), labels_of(artifact))


def require_fitting(labelled: Labelled, known: KnownClasses, subject: str, data: str) -> None:
    """Raise `UsageError` for a label beyond the classes of `subject`."""
    if (largest := int(labelled.labels.max())) >= known.count:
        raise UsageError(
            f"{data}: has labels up to {largest}, but {subject} has only classes 0 to {known.count - 1}"
        )


def compare_answers(
    artifact: Artifact, predictor: Predictor, labelled: Labelled, reference: Classes
) -> Breakdown:
    """Run a file on every image and compare its answers with `reference`, the network's, (images,).

    Works without torch. Raises `UsageError` if the file has a fixed batch that does not divide the number of
    images.
    """
    tensors = labelled.tensors(artifact.preprocessing)
    found = file_answers(artifact, predictor, tensors, len(labelled.labels))
    return break_down(labelled.labels, reference, found, labelled.names)


def drop_error(path: Path, found: Breakdown, max_drop: float | None) -> AccuracyError | None:
    """The error of a file that may lose more than `max_drop` percentage points; None if it does not.

    The upper end of the drop's 95 % interval decides. An image without an answer is an error, too.
    """
    if max_drop is None:
        return None
    evaluation = found.evaluation
    if evaluation.without_answer:
        return AccuracyError(f"{path}: returns NaN or infinity on {evaluation.without_answer} images")
    drop = evaluation.drop
    if 100 * drop.high <= max_drop:
        return None
    hint = "" if 100 * drop.value > max_drop else "; more images make the interval narrower"
    return AccuracyError(
        f"{path}: loses {100 * drop.value:.2f} points of accuracy, and up to {100 * drop.high:.2f} by the "
        f"95 % interval on {evaluation.images:,} images; at most {max_drop:g} are allowed{hint}"
    )
