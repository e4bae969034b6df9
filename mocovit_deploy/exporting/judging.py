"""The images that candidates of a search are judged on, and advice if no candidate keeps the accuracy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mocovit_deploy.accuracy.answers import network_answers
from mocovit_deploy.accuracy.evaluate import Classes, images_for
from mocovit_deploy.accuracy.labelled import Labelled
from mocovit_deploy.errors import UsageError
from mocovit_deploy.exporting.prove import ExportContext
from mocovit_deploy.ship.metadata import classifier_output


class Judging(NamedTuple):
    """What candidates are judged on."""

    labelled: Labelled
    """Images with labels. If the user has no labels, the network's answers stand in for them."""
    original: Classes
    """The network's answers, (images,)."""


def judging_of(context: ExportContext) -> Judging | None:
    """The images of the calibration that are set aside for judging; None if there are none.

    Raises `UsageError` for a network that is not a classifier, and for labels of classes that it lacks.
    """
    calibration = context.schemes.calibration
    if calibration is None or calibration.judging is None:
        return None
    judging, network = calibration.judging, context.network
    outputs = context.reference.output_specs()
    if len(outputs) != 1 or classifier_output(outputs) is None:
        given = ", ".join(f"{one.name} {list(one.shape)}" for one in outputs)
        raise UsageError(
            f"--precision auto judges files by their classes, but {network.name} returns {given}; give the "
            "precisions by name, and judge the files yourself"
        )
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
