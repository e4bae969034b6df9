"""Grids: the real numbers that stored integers stand for.

    real = (stored - zero_point) * scale

int8 activations   256 levels from low to high, one of them exactly 0
int16 activations  65 535 levels from -high to high, zero point 0
int8 weights       255 levels from -w to w for each output channel, zero point 0
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.quantization.ranges import Range

LEAST_WIDTH = 1e-3
"""The width that replaces a width of 0, as for a value that was always 0, as runtimes refuse a scale of 0."""
LEAST_CHANNEL = 1e-5
"""The smallest range of a channel's weights, relative to the largest, as all weights of a channel may be
0."""
LEAST_SCALE = float(np.finfo(np.float32).tiny) * 256
WEIGHT_LEVELS = 127


@dataclass(frozen=True)
class Grid:
    """The numbers that stored integers stand for, by one scale and zero point, or one for each channel."""

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    dtype: str = "int8"
    axis: int | None = None
    """The axis of the channels; None if all share one scale."""

    def rounded(self, array: Array) -> Array:
        """The stored integers of the nearest numbers, in the shape of `array` and of type `dtype`."""
        limits = np.iinfo(self.dtype)
        low = -limits.max if self.is_symmetric else limits.min
        scale, zero = self._along(array.ndim, self.scale), self._along(array.ndim, self.zero_point)
        stored = np.round(array.astype(np.float64) / scale) + zero
        return np.clip(stored, low, limits.max).astype(self.dtype)

    def real(self, stored: Array) -> Array:
        """The numbers that stored integers stand for, float32."""
        scale, zero = self._along(stored.ndim, self.scale), self._along(stored.ndim, self.zero_point)
        return ((stored.astype(np.float64) - zero) * scale).astype(np.float32)

    @property
    def is_symmetric(self) -> bool:
        """Whether there are as many stored integers below 0 as above."""
        return self.dtype == "int16" or self.axis is not None

    @property
    def bounds(self) -> Range:
        """The smallest and largest number of a grid with one scale."""
        limits = np.iinfo(self.dtype)
        return (
            (limits.min - self.zero_point[0]) * self.scale[0],
            (limits.max - self.zero_point[0]) * self.scale[0],
        )

    def _along(self, rank: int, numbers: Sequence[float]) -> Array:
        if self.axis is None:
            return np.array(numbers[0], np.float64)
        shape = [1] * rank
        shape[self.axis] = -1
        return np.array(numbers, np.float64).reshape(shape)


def activation_grid(bounds: Range, dtype: str = "int8") -> Grid:
    """The grid of an activation. 0 is always one of its numbers; a range of width 0 gets `LEAST_WIDTH`.

    Raises `ValueError` for a range that is not finite.

    >>> activation_grid((0.0, 2.55)).zero_point
    (-128,)
    """
    low, high = min(float(bounds[0]), 0.0), max(float(bounds[1]), 0.0)
    if not np.isfinite([low, high]).all():
        raise ValueError(f"the range {bounds} is not finite")
    if high == low:
        high = LEAST_WIDTH
    if dtype == "int16":
        return Grid((max(-low, high) / 32767,), (0,), dtype)
    scale = max((high - low) / 255, LEAST_SCALE)
    zero = int(np.clip(round(-128 - low / scale), -128, 127))
    return Grid((_as_float32(scale),), (zero,), dtype)


def symmetric_grid(bounds: Range) -> Grid:
    """The int8 grid with zero point 0 that covers a range."""
    largest = max(abs(bounds[0]), abs(bounds[1])) or LEAST_WIDTH
    return Grid((_as_float32(largest / 127),), (0,))


def weight_grid(weights: Array, axis: int, largest: Array | None = None) -> Grid:
    """The int8 grid of weights, with a scale for each channel along `axis`.

    Each channel is clipped at `largest` (channels,); None for its largest absolute value.
    """
    others = tuple(i for i in range(weights.ndim) if i != axis)
    ends = np.abs(weights).max(axis=others).astype(np.float64) if largest is None else largest
    ends = np.maximum(ends, max(float(ends.max(initial=0.0)) * LEAST_CHANNEL, LEAST_SCALE * WEIGHT_LEVELS))
    scale = tuple(_as_float32(end / WEIGHT_LEVELS) for end in ends)
    return Grid(scale, (0,) * len(scale), "int8", axis)


def _as_float32(number: float) -> float:
    """A scale rounded to float32, as files hold it, so that this code computes the same as a runtime."""
    return float(np.float32(number))
