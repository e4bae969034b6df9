"""Anchors: the boxes that a detector's locations are told from. All of them are in this file.

A map at stride s has ceil(H / s) rows and ceil(W / s) columns. Around the middle of each place, in the order
stride, row, column, ratio, stands

    one box for each ratio r      height  4 s sqrt(r),   width  4 s / sqrt(r)

    stride          8    16    32    64
    side, r = 1    32    64   128   256 pixels

Where the stride does not divide the image the last places reach past it, and so do their anchors.

Source    RetinaNet, arXiv:1708.02002, section 4, with one scale a stride in place of three
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
    """(boxes, 4): middle y, middle x, height and width, in parts of an image of `sides` (height, width).

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
    """The anchors of a detector by what its manifest says of it (`task`)."""
    height, width = task["image_size"]
    return anchors((int(height), int(width)), tuple(task["strides"]), tuple(task["ratios"]))
