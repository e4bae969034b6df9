"""What an exported file answers on held-out images, in the runtime of its format. Works without torch."""

from __future__ import annotations

from collections.abc import Iterator

from examples.digits import data
from examples.digits.evaluate import Classes, classes
from mocovit_deploy.artifact import Array, Artifact, Predictor, to_layout
from mocovit_deploy.errors import UsageError
from mocovit_deploy.spec import BATCH, InputSpec

FREE_BATCH = 64
"""Images at a time where the file leaves that to the caller."""


def answers(artifact: Artifact, predictor: Predictor, split: data.Split, images: int) -> Classes:
    """The class a file names for each of the first `images` images of a split, (images,).

    Size, layout and preprocessing are what the file's own manifest says. Raises `UsageError` where it takes
    several images at once and their number does not divide `images`.
    """
    (taken,), (given,) = artifact.inputs, artifact.outputs
    size = taken.shape[-2]  # the width in NHWC, the height in NCHW
    many = FREE_BATCH if taken.shape[0] == BATCH else int(taken.shape[0])
    if taken.shape[0] != BATCH and images % many:
        raise UsageError(f"{artifact.path}: takes {many} images at a time, {images} are not a multiple of it")
    spec = InputSpec(size=int(size), preprocessing=artifact.preprocessing)

    def batches() -> Iterator[Array]:
        for start in range(0, images, many):
            tensors, _ = data.batch(split, range(start, min(start + many, images)), spec)
            yield to_layout(tensors, taken)

    return classes(lambda tensors: predictor({taken.name: tensors})[given.name], batches())
