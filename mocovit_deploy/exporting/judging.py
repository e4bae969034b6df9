"""The images that candidates of a search are judged on, and advice if no candidate keeps the accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mocovit_deploy.accuracy.answers import network_answers
from mocovit_deploy.accuracy.evaluate import Classes, images_for
from mocovit_deploy.accuracy.labelled import Labelled
from mocovit_deploy.errors import UsageError
from mocovit_deploy.exporting.prove import ExportContext
from mocovit_deploy.quantization.calibration_set import RANDOM
from mocovit_deploy.ship.metadata import classifier_output
from mocovit_deploy.spec import AUTO, ExportRequest, TensorSpec


class Judging(NamedTuple):
    """What candidates are judged on."""

    labelled: Labelled
    """Images with labels. If the user has no labels, the network's answers stand in for them."""
    original: Classes
    """The network's answers, (images,)."""


def require_judged(request: ExportRequest, name: str, outputs: Sequence[TensorSpec]) -> None:
    """Raise `UsageError` if a search would judge a network that is not a classifier by its classes.

    `name` is the network's. A search that judges nothing (`--calibration random`) takes any network.
    """
    calibration = request.calibration
    searched = [recipe for _, recipe in request.files if recipe == AUTO]
    judges = calibration is not None and calibration.judging_images and calibration.source != RANDOM
    if not searched or not judges or (len(outputs) == 1 and classifier_output(outputs) is not None):
        return
    given = ", ".join(f"{one.name} {list(one.shape)}" for one in outputs)
    raise UsageError(
        f"--precision auto judges files by their classes, but {name} returns {given}; name the precisions, "
        "as in --precision fp16,static_wi8_ai8: each file is checked against the network"
    )


def judging_of(context: ExportContext) -> Judging | None:
    """The images of the calibration that are set aside for judging; None if there are none.

    The network fits `require_judged`. Raises `UsageError` for labels of classes that it lacks.
    """
    calibration = context.schemes.calibration
    if calibration is None or calibration.judging is None:
        return None
    judging, network = calibration.judging, context.network
    if judging.labels is not None:
        (logits,) = context.reference.outputs.values()
        largest, classes = int(judging.labels.max()), logits.shape[-1]
        if largest >= classes:
            raise UsageError(
                f"{calibration.source}: a label is {largest}, but the network has only classes 0 to "
                f"{classes - 1}"
            )
    images = len(judging.images)
    unlabelled = Labelled(judging.images, np.zeros(images, np.int64))
    with context.stages("answers of the network"):
        tensors = unlabelled.tensors(network.input.preprocessing)
        original = network_answers(network.module, tensors, images, network.input.dtype)
    labels = original if judging.labels is None else judging.labels
    return Judging(Labelled(judging.images, labels), original)


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
