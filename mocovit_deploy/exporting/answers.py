"""The user's labelled images, and what the original network says of them: asked once for all files."""

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
    max_drop: float | None
    """In points; None for anything."""


def ask_original(
    network: Network, asked: AccuracyRequest, labels: tuple[str, ...], outputs: Sequence[TensorSpec]
) -> OriginalAnswers:
    """Read the images of `--data` and ask the network; `labels` are names of its classes, or none.

    Raises `UsageError` for a network that is no classifier of one image, and as `read_labelled` does.
    """
    output = classifier_output(outputs)
    if network.inputs.example is not None or output is None or len(outputs) > 1:
        raise UsageError(f"--data: {network.name} is no classifier of one image; leave it out")
    known = KnownClasses(int(output.shape[-1]), labels)
    labelled = read_labelled(asked.source, network.input, asked.images, known)
    require_fitting(labelled, known, network.name, asked.source)
    tensors = labelled.tensors(network.input.preprocessing)
    reference = network_answers(network.module, tensors, len(labelled.labels), network.input.dtype)
    return OriginalAnswers(labelled=labelled, reference=reference, max_drop=asked.max_drop)
