"""The classes that an exported file gives for held-out images, in its format's runtime. Needs no torch."""

from __future__ import annotations

from examples.digits import data
from mocovit_deploy.accuracy.answers import file_answers, image_of
from mocovit_deploy.accuracy.evaluate import Classes
from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.formats import Predictor


def answers(artifact: Artifact, predictor: Predictor, split: data.Split, images: int) -> Classes:
    """The class that a file gives for each of the first `images` images of a split, (images,).

    Size, layout and preprocessing are those of the file's own manifest. Raises `UsageError` where the file
    takes several images at once and their number does not divide `images`.
    """
    return file_answers(artifact, predictor, data.tensors(split, image_of(artifact)), images)
