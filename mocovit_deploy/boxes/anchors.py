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

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mocovit_deploy.errors import UsageError

STRIDES = (8, 16, 32, 64)
RATIOS = (0.5, 1.0, 2.0)
"""Height over width."""
SIDE = 4.0
"""Side of a square anchor, in strides."""

MOST_ANCHORS = 1 << 24
"""More anchors than a file can have a location for; a damaged or hostile file may say so."""

Boxes = npt.NDArray[np.float64]


def anchors(
    sides: tuple[int, int],
    strides: Sequence[int] = STRIDES,
    ratios: Sequence[float] = RATIOS,
    side: float = SIDE,
) -> Boxes:
    """The anchors, (boxes, 4): centre y, centre x, height and width, relative to an image of `sides`.

    `sides` is (height, width) in pixels; `ratios` are heights over widths, and `side` is that of a square
    anchor, in strides.

    >>> anchors((64, 64), (32,), (1.0,))[0].tolist()
    [0.25, 0.25, 2.0, 2.0]
    """
    return np.concatenate([_of_stride(sides, stride, ratios, side * stride) for stride in strides])


def _of_stride(sides: tuple[int, int], stride: int, ratios: Sequence[float], side: float) -> Boxes:
    height, width = sides
    rows, columns = (-(-side // stride) for side in sides)
    y, x, ratio = np.meshgrid(np.arange(rows) + 0.5, np.arange(columns) + 0.5, ratios, indexing="ij")
    root = np.sqrt(ratio)
    boxes = (y * stride / height, x * stride / width, side * root / height, side / root / width)
    return np.stack(boxes, axis=-1).reshape(-1, 4)


def anchors_of(task: Mapping[str, Any]) -> Boxes:
    """The anchors that a file's locations are relative to, (boxes, 4), from the `task` in its manifest.

    Only what the file says counts, not the constants above. Raises `UsageError` for a task that lacks a fact,
    and for one with more anchors than any image has.
    """
    height, width = fact(task, "image_size")
    strides, ratios = fact(task, "strides"), fact(task, "ratios")
    count = sum(-(-height // stride) * -(-width // stride) for stride in strides) * len(ratios)
    if not 0 < count <= MOST_ANCHORS:
        raise UsageError(f"the file's task has {count:,} anchors; at most {MOST_ANCHORS:,} are read")
    return anchors((int(height), int(width)), strides, ratios, float(fact(task, "anchor_side")))


def fact(task: Mapping[str, Any], name: str) -> Any:
    """What a detector's `task` says under `name`. Raises `UsageError` if it says nothing."""
    if name not in task:
        raise UsageError(f"the file's task does not say its {name}, which its boxes need; export it again")
    return task[name]
