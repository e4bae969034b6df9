"""What convolution and pooling share: padding, window positions, and the views a kernel sees.

Arrays are (N, C, *space) with one to three spatial axes; `space`, `kernel`, `strides`, `dilations` have one
number for each of them, `pads` one pair (before, after).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from mocovit_deploy.artifacts.artifact import Array

Pads = tuple[tuple[int, int], ...]

Index = tuple[Any, ...]
"""An index of an array: what goes between its square brackets."""


def resolve_pads(
    pad_type: str,
    pad: Sequence[int],
    space: Sequence[int],
    extent: Sequence[int],
    strides: Sequence[int],
) -> Pads:
    """Padding (before, after) of each spatial axis, for a window that covers `extent` samples.

    `pad_type` is "valid" (none), "custom" (from `pad`: before and after, axis by axis), "same" or
    "same_lower". The last two make ceil(space / stride) positions; "same" puts the odd sample after,
    "same_lower" before. That is the rule of coremltools' type inference; its documentation states another,
    which contradicts the output's shape for strides above 1. Raises `ValueError` for any other `pad_type`.
    """
    if pad_type == "valid":
        return tuple((0, 0) for _ in space)
    if pad_type == "custom":
        return tuple((int(pad[2 * axis]), int(pad[2 * axis + 1])) for axis in range(len(space)))
    if pad_type not in ("same", "same_lower"):
        raise ValueError(f"pad_type {pad_type!r}")
    pads = []
    for size, window, stride in zip(space, extent, strides, strict=True):
        total = max(0, (-(-size // stride) - 1) * stride + window - size)
        less, more = total // 2, total - total // 2
        pads.append((less, more) if pad_type == "same" else (more, less))
    return tuple(pads)


def extent(kernel: Sequence[int], dilations: Sequence[int]) -> tuple[int, ...]:
    """The number of samples that a dilated kernel covers along each axis."""
    return tuple((k - 1) * int(d) + 1 for k, d in zip(kernel, dilations, strict=True))


def window_places(
    space: Sequence[int], pads: Pads, window: Sequence[int], strides: Sequence[int]
) -> tuple[int, ...]:
    """The number of positions of a window that covers `window` samples, along each axis."""
    return tuple(
        (size + before + after - covered) // int(stride) + 1
        for size, (before, after), covered, stride in zip(space, pads, window, strides, strict=True)
    )


class CeilWindows(NamedTuple):
    """The positions of a window in ceil mode."""

    pads: Pads
    """The padding that the last window needs: that of the operation, extended at the end."""
    places: tuple[int, ...]
    """The number of positions along each axis."""


def places_of_ceil_mode(
    space: Sequence[int], pads: Pads, window: Sequence[int], strides: Sequence[int]
) -> CeilWindows:
    """Like `window_places`, with a last window that starts inside the padded input and may end outside."""
    out, extended = [], []
    for size, (before, after), covers, step in zip(space, pads, window, strides, strict=True):
        covered, stride = int(covers), int(step)
        count = -(-(size + before + after - covered) // stride) + 1
        if (count - 1) * stride >= size + before and before + after > 0:
            count -= 1
        out.append(count)
        extended.append((before, max(after, (count - 1) * stride + covered - size - before)))
    return CeilWindows(pads=tuple(extended), places=tuple(out))


def padded(x: Array, pads: Pads, value: float) -> Array:
    """`x` with its spatial axes extended by `pads` of `value`; `x` itself if all pads are 0."""
    if not any(before or after for before, after in pads):
        return x
    space = x.shape[2:]
    sizes = [size + before + after for size, (before, after) in zip(space, pads, strict=True)]
    out = np.full((*x.shape[:2], *sizes), value, x.dtype)
    middle = (slice(before, before + size) for size, (before, _) in zip(space, pads, strict=True))
    inside: Index = (..., *middle)
    out[inside] = x
    return out


def shifts(
    x: Array, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], out: Sequence[int]
) -> Iterator[tuple[tuple[int, ...], Array]]:
    """For each place of the kernel: its index, and the view (N, C, *out) of the samples of x under it."""
    for index in np.ndindex(*kernel):
        steps = (
            slice(i * int(d), i * int(d) + (n - 1) * int(s) + 1, int(s))
            for i, d, s, n in zip(index, dilations, strides, out, strict=True)
        )
        view: Index = (..., *steps)
        yield index, x[view]
