"""Arithmetic of two values with PyTorch's broadcasting.

Operands are matched axis by axis. The operand with all axes keeps its layout, and the other is moved into
that layout, so that the larger one never needs a TRANSPOSE.

    x (H), (W), (C)   +   bias (C)            (H), (W), (C)   +   1, 1, (C)
    x (H), (W), (C)   *   gate (1, C, 1, 1)   (H), (W), (C)   *   1, 1, (C)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from exporters.tflite.direct.axes import (
    Axes,
    Axis,
    Dims,
    MisalignedError,
    Value,
    aligned,
    flat,
    joined,
    size,
    sizes,
)
from exporters.tflite.direct.layout import MOST_DIMS
from exporters.tflite.direct.writer import Writer

Operand = Value | float | int | bool

FEWEST_CHANNELS = 4
"""The number of channels that fill a register of four floats."""
COMPARISONS = ("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL")


def promoted(w: Writer, x: Operand, y: Operand) -> tuple[Value, Value]:
    """Both operands as values of one type, after PyTorch's rules: numbers take the type of the tensor."""
    if not isinstance(x, Value):
        x = _number(w, x, y)
    if not isinstance(y, Value):
        y = _number(w, y, x)
    if x.dtype != y.dtype:
        wider = np.result_type(x.dtype, y.dtype)
        dtype = np.dtype(np.float32) if wider.kind == "f" else wider
        x, y = w.cast(x, dtype), w.cast(y, dtype)
    return x, y


def squared(w: Writer, x: Value) -> Value:
    """x * x; in fp16 files the squared difference from zero.

    XNNPACK fuses a SQUARE, or a MUL of a value by itself, with a MEAN or SUM behind it into a kernel without
    an fp16 form, and then computes the whole file in fp32.
    """
    if w.half and x.dtype.kind == "f":
        return binary(w, "SQUARED_DIFFERENCE", x, 0.0)
    return w.unary("SQUARE", x)


def _number(w: Writer, number: Operand, other: Operand) -> Value:
    dtype = other.dtype if isinstance(other, Value) else np.dtype(np.float32)
    if dtype.kind in "biu" and isinstance(number, float):
        dtype = np.dtype(np.float32)
    return w.constant(number, dtype)


def meet(w: Writer, x: Value, y: Value, pairs: Sequence[tuple[int, int]]) -> tuple[Value, Value]:
    """Both values with the same axes in each pair of dimensions; data moves if their views do not align."""
    try:
        return aligned(x, y, pairs)
    except MisalignedError:
        try:
            return aligned(x, w.layout.straight(y), pairs)
        except MisalignedError:
            return aligned(w.layout.straight(x), w.layout.straight(y), pairs)


def binary(w: Writer, kind: str, x: Operand, y: Operand, activation: int | None = None) -> Value:
    """One operator of two inputs, with `activation` (a value of the schema's enumeration) fused into it.

    The output of a comparison is boolean, any other has the type of the operands.
    """
    x, y = promoted(w, x, y)
    rank = max(x.rank, y.rank)
    x = x.seen_as([()] * (rank - x.rank) + list(x.logical))
    y = y.seen_as([()] * (rank - y.rank) + list(y.logical))
    x, y = meet(w, x, y, [(i, i) for i in range(rank)])
    logical = tuple(a or b for a, b in zip(x.logical, y.logical, strict=True))
    dims = _dims(x, y, logical)
    of_x, of_y = set(x.order), set(y.order)
    options: dict[str, Any] = {} if activation is None else {"fusedActivationFunction": activation}
    dtype = np.bool_ if kind in COMPARISONS else x.dtype
    if _is_image_with_pixel(x, y, dims):
        return w.value(_by_rows(w, kind, x, y, dims, dtype, options), dims, logical)
    tensors = [w.layout.lay(x, _part(x, dims, of_x)), w.layout.lay(y, _part(y, dims, of_y))]
    made = w.file.operator(kind, tensors, sizes(dims), dtype, **options)
    return w.value(made, dims, logical)


def _is_image_with_pixel(x: Value, y: Value, dims: Dims) -> bool:
    """True if `x` has all axes, and `y` is a constant pixel of at most `FEWEST_CHANNELS` channels."""
    pixel = y.array is not None and y.array.size > 1 and tuple(y.order) == tuple(dims[-1])
    whole = x.array is None and set(x.order) == set(flat(dims))
    return pixel and whole and len(dims) > 2 and size(dims[-1]) <= FEWEST_CHANNELS


def _by_rows(
    w: Writer, kind: str, image: Value, pixel: Value, dims: Dims, dtype: Any, options: dict[str, Any]
) -> int:
    """An operator of an image and one pixel's constant, done row by row.

    before   (N, H, W, C)  -  (C)                                     a loop of C numbers for each pixel
    after    (N, H, W C)   -  (W C), the pixel repeated - RESHAPE     a loop of W C numbers for each row
    """
    whole = sizes(dims)
    numbers = np.asarray(w.layout.moved(pixel, (dims[-1],)).array).reshape(-1)
    row = w.file.constant(np.tile(numbers, whole[-2]), pixel.name or "row")
    rows = w.layout.reshape(w.layout.lay(image, dims), [*whole[:-2], whole[-2] * whole[-1]])
    made = w.file.operator(kind, [rows, row], w.file.shape(rows), dtype, **options)
    return w.layout.reshape(made, whole)


def _part(value: Value, dims: Dims, held: set[Axis]) -> Dims:
    """The dimensions of the result reduced to the axes of one operand; none for a single number."""
    if value.array is not None and value.array.size == 1:
        return ()
    return tuple(tuple(axis for axis in dim if axis in held) for dim in dims)


def _dims(x: Value, y: Value, logical: Dims) -> Dims:
    """The physical dimensions of the result."""
    lead = _lead(x, y)
    other = set(y.order if lead is x else x.order)
    order = list(lead.order)
    missing = [axis for axis in flat(logical) if axis in other and axis not in set(order)]
    if not missing:
        whole = all(not other.intersection(dim) or other.issuperset(dim) for dim in lead.physical)
        if whole and len(lead.physical) <= MOST_DIMS:
            return lead.physical
        return joined(order, [other])
    order = _inserted(order, missing, flat(logical))
    return joined(order, [x.order, y.order])


def _lead(x: Value, y: Value) -> Value:
    """The operand that gives the result its layout: a computed one, of those the one with most axes."""
    computed = [one for one in (x, y) if one.array is None] or [x, y]
    return max(computed, key=lambda one: len(one.order))


def _inserted(order: list[Axis], missing: list[Axis], logical: Axes) -> list[Axis]:
    """`order` with each missing axis before the axis that comes after it in PyTorch's order."""
    for axis in reversed(missing):
        later = [one for one in logical[logical.index(axis) + 1 :] if one in order]
        order.insert(order.index(later[0]) if later else len(order), axis)
    return order
