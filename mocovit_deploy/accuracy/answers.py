"""The class that a file, or the network it came from, answers for each of many images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from mocovit_deploy.accuracy.evaluate import Classes, classes
from mocovit_deploy.artifacts.artifact import Array, Artifact, as_taken
from mocovit_deploy.errors import UsageError
from mocovit_deploy.formats import Predictor
from mocovit_deploy.spec import BATCH, InputSpec

if TYPE_CHECKING:
    from torch import nn

BATCH_SIZE = 64
"""Images in one run, if the file leaves the batch to the caller."""

Tensors = Callable[[int, int], Array]
"""(start, stop) -> images start to stop, preprocessed, (stop - start, C, H, W) float32."""


def image_of(artifact: Artifact) -> InputSpec:
    """The image that a file takes: its size, channels and preprocessing, from the manifest.

    Raises `UsageError` unless the file takes one image and returns one (batch, classes).
    """
    if len(artifact.inputs) != 1 or artifact.inputs[0].layout not in ("nhwc", "nchw"):
        raise UsageError(f"{artifact.path}: does not take one image; accuracy needs a classifier of images")
    shape = artifact.outputs[0].shape if len(artifact.outputs) == 1 else ()
    if len(shape) != 2 or not isinstance(shape[1], int):
        raise UsageError(
            f"{artifact.path}: does not return one (batch, classes); accuracy needs a classifier"
        )
    (taken,) = artifact.inputs
    _, *rest = taken.shape
    height, width, channels = rest if taken.layout == "nhwc" else (rest[1], rest[2], rest[0])
    dtype = "uint8" if taken.dtype == "uint8" else InputSpec.dtype
    other = None if height == width else int(width)
    how = artifact.preprocessing
    return InputSpec(int(height), int(channels), preprocessing=how, dtype=dtype, width=other)


def file_answers(artifact: Artifact, predictor: Predictor, tensors: Tensors, images: int) -> Classes:
    """The class that a file answers for each of the first `images` images, (images,). Works without torch.

    Raises `UsageError` if the file has a fixed batch that does not divide `images`.
    """
    (taken,), (given,) = artifact.inputs, artifact.outputs
    many = BATCH_SIZE if taken.shape[0] == BATCH else int(taken.shape[0])
    if taken.shape[0] != BATCH and images % many:
        raise UsageError(
            f"{artifact.path}: takes {many} images at a time; {images} is not a multiple of that"
        )
    batches = (as_taken(batch, taken) for batch in _batches(tensors, images, many))
    return classes(lambda batch: predictor({taken.name: batch})[given.name], batches)


def network_answers(network: nn.Module, tensors: Tensors, images: int, dtype: str = "float32") -> Classes:
    """The class that `network`, in eval mode, answers for each of the first `images` images, (images,).

    `dtype` is the element type of the images that the network takes.
    """
    import torch

    def predict(batch: Array) -> Array:
        with torch.no_grad():
            logits: Array = network(torch.from_numpy(batch.astype(dtype, copy=False))).numpy()
        return logits

    return classes(predict, _batches(tensors, images, BATCH_SIZE))


def _batches(tensors: Tensors, images: int, many: int) -> Iterator[Array]:
    for start in range(0, images, many):
        yield tensors(start, min(start + many, images))
