"""Masks of the objects that an instance segmenter found, in pixels of its image. Numpy only.

    mask = sigmoid(sum of tanh(coefficient) x prototype), enlarged bilinearly to the image;
           the pixels from 0.5 on that lie in its box

A file with boxes="decoded" gives the sigmoid itself, for every anchor. Only masks of the boxes that are kept
are enlarged.

Source    arXiv:1904.02689, section 3.1, mask assembly
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.artifacts.task import INSTANCES
from mocovit_deploy.boxes.anchors import fact
from mocovit_deploy.boxes.decode import RAW, Detection, detections, finite, sigmoid
from mocovit_deploy.errors import UsageError

INSIDE = 0.5
"""From this value a pixel belongs to the object."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Instance:
    """One object in an image, and its pixels."""

    detection: Detection
    mask: Mask
    """(H, W), of the image's size."""


def instances(
    task: Mapping[str, Any],
    outputs: Mapping[str, Array],
    *,
    least_score: float = 0.3,
    most_overlap: float = 0.5,
    most: int = 100,
) -> tuple[Instance, ...]:
    """The objects in one image with their masks, the best first, from a file's outputs by name, batch 1.

    The options and the errors are those of `boxes.decode.detections`. Raises `UsageError` also for a file
    without masks.
    """
    if task.get("kind") != INSTANCES:
        raise UsageError(f"the file gives no masks; its task is {task.get('kind', 'unknown')}")
    found = detections(task, outputs, least_score=least_score, most_overlap=most_overlap, most=most)
    anchors = [one.anchor for one in found]
    names = task["outputs"]
    if task["boxes"] == RAW:
        of = {role: finite(outputs[names[role]], names[role])[0] for role in ("coefficients", "prototypes")}
        small = sigmoid(np.einsum("nk,rck->nrc", np.tanh(of["coefficients"][anchors]), of["prototypes"]))
    else:
        small = finite(outputs[names["masks"]], names["masks"])[0, anchors]
    height, width = (int(side) for side in fact(task, "image_size"))
    large = enlarged(small, int(fact(task, "mask_stride")), (height, width))
    return tuple(Instance(one, _cut(mask >= INSIDE, one.box)) for one, mask in zip(found, large, strict=True))


def enlarged(maps: Array, factor: int, sides: tuple[int, int]) -> Array:
    """Maps (n, rows, columns) -> (n, H, W): `factor` times as large, bilinearly, and cut to `sides`.

    Pixel centres are at half positions, and the edges are repeated, as in PyTorch without align_corners.
    """
    rows, columns = (_weights(one, factor, side) for one, side in zip(maps.shape[1:], sides, strict=True))
    return np.asarray(rows @ maps @ columns.T)


def _weights(length: int, factor: int, side: int) -> Array:
    """The matrix (side, length) that interpolates `length` values linearly at `side` pixels."""
    place = np.clip((np.arange(side) + 0.5) / factor - 0.5, 0, length - 1)
    before = np.floor(place).astype(int)
    after, share = np.minimum(before + 1, length - 1), place - before
    weights = np.zeros((side, length))
    np.add.at(weights, (np.arange(side), before), 1 - share)
    np.add.at(weights, (np.arange(side), after), share)
    return weights


def _cut(mask: Mask, box: Sequence[float]) -> Mask:
    """The mask (H, W) without what is outside its box, of fractions of the image."""
    height, width = mask.shape
    top, left, bottom, right = box
    rows, columns = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
    inside = ((rows >= top) & (rows <= bottom))[:, None] & ((columns >= left) & (columns <= right))
    return np.asarray(mask & inside)
