"""The user's labelled images, and the original network's answers, computed once for all files of an
export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mocovit_deploy.accuracy.answers import network_answers
from mocovit_deploy.accuracy.evaluate import Classes
from mocovit_deploy.accuracy.folder import KnownClasses
from mocovit_deploy.accuracy.judge import require_fitting
from mocovit_deploy.accuracy.labelled import Labelled, read_labelled
from mocovit_deploy.errors import UsageError
from mocovit_deploy.models.load import Network
from mocovit_deploy.ship.metadata import classifier_output
from mocovit_deploy.spec import AccuracyRequest, TensorSpec


@dataclass(frozen=True, kw_only=True)
class OriginalAnswers:
    """Labelled images, the network's answers, and how much accuracy a file may lose."""

    labelled: Labelled
    reference: Classes
    """The class that the network answers for each image, (images,)."""
    max_drop: float | None
    """Percentage points; None for no limit."""


def ask_original(
    network: Network, asked: AccuracyRequest, labels: tuple[str, ...], outputs: Sequence[TensorSpec]
) -> OriginalAnswers:
    """Read the images of `--data` and run the network on them; `labels` names its classes, or is empty.

    Raises `UsageError` for a network that does not classify one image, and the errors of `read_labelled`.
    """
    output = classifier_output(outputs)
    if network.inputs.example is not None or output is None or len(outputs) > 1:
        raise UsageError(f"--data: {network.name} does not classify one image; leave --data out")
    known = KnownClasses(int(output.shape[-1]), labels)
    labelled = read_labelled(asked.source, network.input, asked.images, known)
    require_fitting(labelled, known, network.name, asked.source)
    tensors = labelled.tensors(network.input.preprocessing)
    reference = network_answers(network.module, tensors, len(labelled.labels), network.input.dtype)
    return OriginalAnswers(labelled=labelled, reference=reference, max_drop=asked.max_drop)
