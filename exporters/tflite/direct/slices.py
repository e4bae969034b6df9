"""Slices and indexing.

ATen       slice (any step), select, narrow, split, chunk, tensor_split, unbind, flip, roll,
           index_select and index with constant indices
TFLite     SLICE; a step is a RESHAPE to (count, step) and a SLICE of one; CONCATENATION joins pieces
XNNPACK    takes all of these in fp32, fp16 and int8. It never takes STRIDED_SLICE with steps, SPLIT_V or
           GATHER: GATHER is written only where more than ten pieces would be needed.

    x (N, C, H, W)[:, :, ::2]     RESHAPE (N, H/2, 2, W, C) - SLICE (N, H/2, 1, W, C)     H even
                                  PAD by one row before that                              H odd
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from exporters.tflite.direct.axes import Axis, Value, axes_of, sizes
from exporters.tflite.direct.concat import concatenated
from exporters.tflite.direct.padding import zeros_around
from exporters.tflite.direct.unsupported import UnsupportedError
from exporters.tflite.direct.writer import Operations, Writer, aten

MOST_PIECES = 10
GPU_RANK = 3
"""The GPU delegate cuts tensors of 3 or 4 dimensions (exporters/tflite/gpu.py)."""


def sliced(w: Writer, x: Value, dim: int, start: int, stop: int) -> Value:
    """x[start:stop] along one dimension, both within it."""
    dim %= x.rank
    count = x.shape[dim]
    if (start, stop) == (0, count):
        return x
    if stop <= start:
        raise UnsupportedError("an empty slice")
    if set(x.logical[dim]) & set(x.broadcast):
        x = w.layout.straight(x)
    x, place = w.layout.in_one(x, dim, least_rank=GPU_RANK)
    held, shape = w.layout.tensor(x), list(sizes(x.physical))
    begin = [0] * len(shape)
    begin[place], shape[place] = start, stop - start
    made = w.file.operator("SLICE", [held, w.index(begin, "begin"), w.index(shape, "size")], shape, x.dtype)
    axes = axes_of([stop - start])[0]
    physical = tuple(axes if i == place else one for i, one in enumerate(x.physical))
    return w.value(made, physical, [axes if i == dim else one for i, one in enumerate(x.logical)])


def slice_(
    w: Writer, x: Value, dim: int = 0, start: int | None = None, stop: int | None = None, step: int = 1
) -> Value:
    dim %= x.rank
    first, last, step = slice(start, stop, step).indices(x.shape[dim])
    return stepped(w, x, dim, first, len(range(first, last, step)), step)


def stepped(w: Writer, x: Value, dim: int, start: int, count: int, step: int) -> Value:
    """`count` elements from `start` on, `step` apart."""
    if step == 1 or count == 1:
        return sliced(w, x, dim, start, start + count)
    if not count:
        raise UnsupportedError("an empty slice")
    # The window of count * step elements that holds them all; `offset` is their place in each step.
    begin = max(min(start, x.shape[dim] - count * step), start - step + 1, 0)
    offset, end = start - begin, begin + count * step
    if end > x.shape[dim]:
        x = zeros_around(w, x, [(0, end - x.shape[dim]) if i == dim else (0, 0) for i in range(x.rank)])
    y = sliced(w, x, dim, begin, end)
    y = w.layout.reshape_view(y, [*y.shape[:dim], count, step, *y.shape[dim + 1 :]])
    y = sliced(w, y, dim + 1, offset, offset + 1)
    return y.seen_as((*y.logical[: dim + 1], *y.logical[dim + 2 :]))


def select(w: Writer, x: Value, dim: int, index: int) -> Value:
    dim, index = dim % x.rank, index % x.shape[dim]
    y = sliced(w, x, dim, index, index + 1)
    return y.seen_as(axes for i, axes in enumerate(y.logical) if i != dim)


def narrow(w: Writer, x: Value, dim: int, start: int, length: int) -> Value:
    return sliced(w, x, dim, start, start + length)


def pieces(w: Writer, x: Value, lengths: Sequence[int], dim: int = 0) -> list[Value]:
    """split_with_sizes"""
    ends = np.cumsum(lengths).tolist()
    return [sliced(w, x, dim, end - one, end) for end, one in zip(ends, lengths, strict=True)]


def split(w: Writer, x: Value, length: int, dim: int = 0) -> list[Value]:
    whole, rest = divmod(x.shape[dim], length)
    return pieces(w, x, [length] * whole + [rest] * bool(rest), dim)


def chunk(w: Writer, x: Value, chunks: int, dim: int = 0) -> list[Value]:
    return split(w, x, -(-x.shape[dim] // chunks), dim)


def tensor_split(w: Writer, x: Value, sections: int, dim: int = 0) -> list[Value]:
    least, more = divmod(x.shape[dim], sections)
    return pieces(w, x, [least + 1] * more + [least] * (sections - more), dim)


def unbind(w: Writer, x: Value, dim: int = 0) -> list[Value]:
    return [select(w, x, dim, index) for index in range(x.shape[dim])]


def flip(w: Writer, x: Value, dims: Sequence[int]) -> Value:
    for dim in dims:
        x = taken(w, x, dim % x.rank, list(reversed(range(x.shape[dim]))))
    return x


def roll(w: Writer, x: Value, shifts: int | Sequence[int], dims: int | Sequence[int] = ()) -> Value:
    shifts = [shifts] if isinstance(shifts, int) else list(shifts)
    dims = [dims] if isinstance(dims, int) else list(dims)
    if not dims:
        flat = w.layout.reshape_view(x, [int(np.prod(x.shape))])
        return w.layout.reshape_view(roll(w, flat, shifts, [0]), x.shape)
    for shift, dim in zip(shifts, dims, strict=True):
        count = x.shape[dim]
        if cut := -shift % count:
            parts = [sliced(w, x, dim, cut, count), sliced(w, x, dim, 0, cut)]
            x = concatenated(w, parts, dim % x.rank)
    return x


def index_select(w: Writer, x: Value, dim: int, index: Value) -> Value:
    if index.array is None:
        return gathered(w, x, dim % x.rank, index)
    return taken(w, x, dim % x.rank, [int(one) for one in w.array(index).reshape(-1)])


def index(w: Writer, x: Value, indices: Sequence[Value | None]) -> Value:
    """x[:, numbers]: indices in one dimension."""
    places = [i for i, one in enumerate(indices) if one is not None]
    chosen = indices[places[0]] if len(places) == 1 else None
    if chosen is None:
        raise UnsupportedError("indices in several dimensions at once")
    if chosen.array is None:
        return gathered(w, x, places[0], chosen)
    numbers = w.array(chosen)
    if numbers.dtype == np.bool_:
        numbers = np.flatnonzero(numbers)
    y = taken(w, x, places[0], [int(one) % x.shape[places[0]] for one in numbers.reshape(-1)])
    return w.layout.reshape_view(y, [*y.shape[: places[0]], *numbers.shape, *y.shape[places[0] + 1 :]])


def taken(w: Writer, x: Value, dim: int, numbers: Sequence[int]) -> Value:
    """The elements with the indices `numbers` along one dimension, in that order."""
    runs = _runs(numbers)
    if len(runs) <= MOST_PIECES:
        return concatenated(w, [stepped(w, x, dim, *run) for run in runs], dim)
    return gathered(w, x, dim, w.constant(np.array(numbers, np.int32)))


def gathered(w: Writer, x: Value, dim: int, numbers: Value) -> Value:
    """A GATHER along one dimension, with the indices `numbers`; XNNPACK leaves it to TFLite's own kernels."""
    numbers = numbers if numbers.dtype.name in ("int32", "int64") else w.cast(numbers, np.int32)
    if set(x.logical[dim]) & set(x.broadcast):
        x = w.layout.straight(x)
    x, place = w.layout.in_one(x, dim)
    if len(x.physical) + numbers.rank - 1 > 6:
        raise UnsupportedError("it gathers into more than six dimensions")
    tensors = [w.layout.tensor(x), w.layout.lay(numbers, numbers.logical)]
    new = tuple((Axis(one),) if one != 1 else () for one in numbers.shape)
    physical = (*x.physical[:place], *new, *x.physical[place + 1 :])
    made = w.file.operator("GATHER", tensors, sizes(physical), x.dtype, axis=place)
    return w.value(made, physical, (*x.logical[:dim], *new, *x.logical[dim + 1 :]))


def _runs(numbers: Sequence[int]) -> list[tuple[int, int, int]]:
    """The numbers as runs (start, count, step) with positive steps, found greedily from the front.

    2 3 4 0 2 4     (2, 3, 1) (0, 3, 2)
    """
    runs: list[tuple[int, int, int]] = []
    rest = list(numbers)
    while rest:
        step = rest[1] - rest[0] if len(rest) > 1 else 1
        count = 1
        while step > 0 and count < len(rest) and rest[count] - rest[count - 1] == step:
            count += 1
        runs.append((rest[0], count, step if count > 1 else 1))
        rest = rest[count:]
    return runs


def getitem(_w: Writer, values: Any, index: int) -> Value:
    found: Value = values[index]
    return found


OPERATIONS: Operations = {
    aten.slice.Tensor: slice_,
    aten.select.int: select,
    aten.narrow.default: narrow,
    aten.split.Tensor: split,
    aten.split.sizes: pieces,
    aten.split_with_sizes.default: pieces,
    aten.chunk.default: chunk,
    aten.tensor_split.sections: tensor_split,
    aten.unbind.int: unbind,
    aten.flip.default: flip,
    aten.roll.default: roll,
    aten.index_select.default: index_select,
    aten.index.Tensor: index,
}
