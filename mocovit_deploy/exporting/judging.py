"""The images that candidates of a search are judged on, and advice if no candidate keeps the accuracy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch

from mocovit_deploy.accuracy.agreement import JUDGED, Answer, answer_of, losses
from mocovit_deploy.accuracy.answers import Tensors, file_answers, network_answers
from mocovit_deploy.accuracy.evaluate import Classes, Drop, evaluate, images_for, mean_loss
from mocovit_deploy.accuracy.labelled import Labelled
from mocovit_deploy.artifacts.artifact import Array, Artifact, as_taken
from mocovit_deploy.errors import UsageError
from mocovit_deploy.exporting.context import ExportContext
from mocovit_deploy.formats import format_named
from mocovit_deploy.models.load import Network
from mocovit_deploy.quantization.calibration_set import RANDOM
from mocovit_deploy.ship.metadata import classifier_output
from mocovit_deploy.spec import AUTO, ExportRequest, TensorSpec


class Judging(NamedTuple):
    """What candidates are judged on."""

    labelled: Labelled
    """Images with labels. If the user has no labels, the network's answers stand in for them."""
    original: Classes | list[Answer]
    """The network's answers: the class of each image, or what each answer of its `task` is."""
    task: Mapping[str, Any] | None
    """None for a classifier."""


class Judged(NamedTuple):
    """How a file compares with the network on the judging images."""

    agreement: float
    """From 0 to 1."""
    drop: Drop


def require_judged(
    request: ExportRequest, name: str, outputs: Sequence[TensorSpec], task: Mapping[str, Any] | None
) -> None:
    """Raise `UsageError` if a search would judge a network that has neither classes nor a task to judge by.

    `name` is the network's. A search that judges nothing (`--calibration random`) takes any network.
    """
    calibration = request.calibration
    searched = [recipe for _, recipe in request.files if recipe == AUTO]
    judges = calibration is not None and calibration.judging_images and calibration.source != RANDOM
    if not searched or not judges or (len(outputs) == 1 and classifier_output(outputs) is not None):
        return
    if (task or {}).get("kind") in JUDGED and all(one.shape[0] == 1 for one in outputs):
        return
    given = ", ".join(f"{one.name} {list(one.shape)}" for one in outputs)
    raise UsageError(
        "--precision auto judges files by their classes, or by the objects or places of one image; "
        f"{name} returns {given}; name the precisions, as in --precision fp16,static_wi8_ai8: each file is "
        "checked against the network"
    )


def judging_of(context: ExportContext) -> Judging | None:
    """The images of the calibration that are set aside for judging; None if there are none.

    The network fits `require_judged`. Raises `UsageError` for labels of classes that it lacks, and for labels
    of a segmenter's or a detector's images.
    """
    calibration = context.schemes.calibration
    if calibration is None or calibration.judging is None:
        return None
    judging, network, task = calibration.judging, context.network, context.network.task
    images = len(judging.images)
    unlabelled = Labelled(judging.images, np.zeros(images, np.int64))
    tensors = unlabelled.tensors(network.input.preprocessing)
    if task is not None:
        if judging.labels is not None:
            raise UsageError(
                f"{calibration.source}: labels are of classifiers, which {network.name} is not; give images "
                "alone"
            )
        with context.stages("answers of the network"):
            answers = [answer_of(task, _outputs_of(network, one)) for one in _single(tensors, images)]
        return Judging(unlabelled, answers, task)
    if judging.labels is not None:
        (logits,) = context.reference.outputs.values()
        largest, classes = int(judging.labels.max()), logits.shape[-1]
        if largest >= classes:
            raise UsageError(
                f"{calibration.source}: a label is {largest}, but the network has only classes 0 to "
                f"{classes - 1}"
            )
    with context.stages("answers of the network"):
        original = network_answers(network.module, tensors, images, network.input.dtype)
    labels = original if judging.labels is None else judging.labels
    return Judging(Labelled(judging.images, labels), original, None)


def judge(judging: Judging, artifact: Artifact) -> Judged:
    """Run a file on the judging images and compare its answers with the network's, and with labels if any."""
    predictor = format_named(artifact.format).load(artifact)
    tensors, images = judging.labelled.tensors(artifact.preprocessing), len(judging.labelled.labels)
    if judging.task is not None:
        (taken,) = artifact.inputs
        runs = (predictor({taken.name: as_taken(one, taken)}) for one in _single(tensors, images))
        answers = [answer_of(judging.task, outputs) for outputs in runs]
        lost = losses(cast("list[Answer]", judging.original), answers)
        return Judged(1.0 - float(lost.mean()), mean_loss(lost))
    found = file_answers(artifact, predictor, tensors, images)
    told = evaluate(judging.labelled.labels, cast("Classes", judging.original), found)
    return Judged(told.agreement, told.drop)


def _single(tensors: Tensors, images: int) -> Iterator[Array]:
    """One image at a time, (1, C, H, W)."""
    return (tensors(image, image + 1) for image in range(images))


def _outputs_of(network: Network, image: Array) -> dict[str, Array]:
    """The outputs of the original network by their names in files."""
    with torch.no_grad():
        result = network.module(torch.from_numpy(image.astype(network.input.dtype, copy=False)))
    leaves = torch.utils._pytree.tree_leaves(result)
    return {name: leaf.numpy() for name, leaf in zip(network.output_names, leaves, strict=True)}


def what_would_help(images: int | None, max_drop: float) -> str:
    """Advice if no file keeps the accuracy within the share `max_drop`, judged on `images` (None: on none).

    >>> what_would_help(272, 0.005)
    '272 images cannot show so small a drop for any file: judge on 765 or more (--judging-images)'
    """
    if max_drop <= 0:
        return "no number of images can show that nothing is lost: raise --max-drop"
    if images is not None and images < images_for(max_drop):
        return (
            f"{images} images cannot show so small a drop for any file: judge on {images_for(max_drop)} or "
            "more (--judging-images)"
        )
    return "raise --max-drop, or ship the original precision"
