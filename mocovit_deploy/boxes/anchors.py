"""Anchors: the boxes that a detector's locations are relative to. They are defined only in this file.

A map at stride s has ceil(H / s) rows and ceil(W / s) columns. Each position has one anchor for each ratio r,
centred on it:

    height  4 s sqrt(r),   width  4 s / sqrt(r)          order: stride, row, column, ratio

    stride          8    16    32    64
    side, r = 1    32    64   128   256 pixels

If the stride does not divide the image's sides, the last positions and their anchors lie partly outside it.

Source    RetinaNet, arXiv:1708.02002, section 4, with one scale for each stride instead of three
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

STRIDES = (8, 16, 32, 64)
RATIOS = (0.5, 1.0, 2.0)
"""Height over width."""
SIDE = 4.0
"""Side of a square anchor, in strides."""

Boxes = npt.NDArray[np.float64]


def anchors(
    sides: tuple[int, int], strides: Sequence[int] = STRIDES, ratios: Sequence[float] = RATIOS
) -> Boxes:
    """The anchors, (boxes, 4): centre y, centre x, height and width, relative to an image of `sides`.

    `sides` is (height, width) in pixels.

    >>> anchors((64, 64), (32,), (1.0,))[0].tolist()
    [0.25, 0.25, 2.0, 2.0]
    """
    return np.concatenate([_of_stride(sides, stride, ratios) for stride in strides])


def _of_stride(sides: tuple[int, int], stride: int, ratios: Sequence[float]) -> Boxes:
    height, width = sides
    rows, columns = (-(-side // stride) for side in sides)
    y, x, ratio = np.meshgrid(np.arange(rows) + 0.5, np.arange(columns) + 0.5, ratios, indexing="ij")
    root, side = np.sqrt(ratio), SIDE * stride
    boxes = (y * stride / height, x * stride / width, side * root / height, side / root / width)
    return np.stack(boxes, axis=-1).reshape(-1, 4)


def anchors_of(task: Any) -> Boxes:
    """The anchors of a detector, from the `task` in its manifest."""
    height, width = task["image_size"]
    return anchors((int(height), int(width)), tuple(task["strides"]), tuple(task["ratios"]))
