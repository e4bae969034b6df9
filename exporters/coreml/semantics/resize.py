"""Resizing the last two axes (H, W).

Linear interpolation works axis by axis. The modes differ in the "grid": the positions of output samples
between the input's samples. The formulas are those of coremltools' documentation of `resize_bilinear` and
`upsample_bilinear`. Nearest-neighbour resizing to any size (`resize_nearest_neighbor`, `resize`) is left out,
because the documentation does not say which sample is the nearest.
"""

# numpy's stubs give Any for arithmetic between an array and a plain number.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mocovit_deploy.artifacts.artifact import Array


def upsample_bilinear(
    x: Array,
    scale_factor_height: Array | int,
    scale_factor_width: Array | int,
    align_corners: bool,
    half_pixel_centers: bool | None = None,
) -> Array:
    """The scale only decides the output's size; the grid is computed from the two sizes."""
    half = not align_corners if half_pixel_centers is None else half_pixel_centers
    mode = "STRICT_ALIGN_CORNERS" if align_corners else "UNALIGN_CORNERS" if half else "DEFAULT"
    height, width = _scaled(x.shape[-2], scale_factor_height), _scaled(x.shape[-1], scale_factor_width)
    return _bilinear(x, height, width, mode)


def resize_bilinear(x: Array, target_size_height: int, target_size_width: int, sampling_mode: str) -> Array:
    return _bilinear(x, target_size_height, target_size_width, sampling_mode)


def upsample_nearest_neighbor(
    x: Array, scale_factor_height: Array | int, scale_factor_width: Array | int
) -> Array:
    return _nearest(x, _scaled(x.shape[-2], scale_factor_height), _scaled(x.shape[-1], scale_factor_width))


def _scaled(size: int, factor: Array | int) -> int:
    """The scaled size as coremltools' type inference computes it: in the factor's precision, rounded down."""
    return int(np.floor(size * np.asarray(factor)))


def _bilinear(x: Array, height: int, width: int, mode: str) -> Array:
    y = _interpolated(x, grid(x.shape[-1], width, mode), -1)
    return _interpolated(y, grid(x.shape[-2], height, mode), -2)


def grid(size: int, out: int, mode: str) -> Array:
    """The positions of `out` samples on an axis of `size` samples, in float64."""
    steps = np.arange(out)
    if mode in ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS"):
        if out == 1:
            return np.array([(size - 1) / 2 if mode == "ALIGN_CORNERS" else 0.0])
        points = steps * (size - 1) / (out - 1)
    elif mode == "DEFAULT":
        points = steps * size / out
    elif mode == "OFFSET_CORNERS":
        points = (steps + 0.5) * max(1, size - 1) / out
    elif mode == "UNALIGN_CORNERS":
        points = (steps + 0.5) * size / out - 0.5
    else:
        raise ValueError(f"sampling mode {mode!r}")
    return np.clip(points, 0, size - 1)


def _interpolated(x: Array, points: Array, axis: int) -> Array:
    low = np.floor(points).astype(np.int64)
    high = np.minimum(low + 1, x.shape[axis] - 1)
    shape = [1] * x.ndim
    shape[axis] = -1
    weight = (points - low).astype(np.float32).reshape(shape)
    return np.take(x, low, axis) * (1 - weight) + np.take(x, high, axis) * weight


def _nearest(x: Array, height: int, width: int) -> Array:
    rows, columns = _source(x.shape[-2], height), _source(x.shape[-1], width)
    return x[..., rows[:, None], columns]


def _source(size: int, out: int) -> Array:
    """The index of the sample that each of `out` samples repeats: floor(i * size / out), as in PyTorch."""
    return np.arange(out) * size // out


def refuse_ambiguous_nearest(
    constants: Mapping[str, Any], shapes: Mapping[str, tuple[int | None, ...]]
) -> str | None:
    """The reason to refuse fractional factors for which two ways to find the nearest sample differ, or None.

    Core ML's documentation does not say whether the ratio of the sizes or the factor itself decides.
    coremltools' own tests on macOS compare factors of 4.5 and 5.5 with PyTorch; both ways agree there.
    """
    for axis, parameter in ((-2, "scale_factor_height"), (-1, "scale_factor_width")):
        factor = constants.get(parameter)
        size = shapes["x"][axis] if "x" in shapes else None
        if factor is None or size is None:
            return f"{parameter} or the size it applies to is known only at run time"
        out = _scaled(size, factor)
        by_factor = np.floor(np.arange(out, dtype=np.float32) / np.float32(factor)).astype(np.int64)
        if not np.array_equal(_source(size, out), by_factor):
            return f"{parameter} {float(factor):g}: which of {size} samples is the nearest is not documented"
    return None


OPERATIONS = (
    ("resize_bilinear", resize_bilinear),
    ("upsample_bilinear", upsample_bilinear),
    ("upsample_nearest_neighbor", upsample_nearest_neighbor),
)

REFUSALS = (("upsample_nearest_neighbor", refuse_ambiguous_nearest),)
