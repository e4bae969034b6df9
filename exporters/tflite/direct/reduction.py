"""Reductions.

ATen       mean sum amax amin max min prod, var std norm, argmax argmin, topk, cumsum
TFLite     MEAN SUM REDUCE_MAX REDUCE_MIN; REDUCE_PROD ARG_MAX ARG_MIN TOPK_V2
XNNPACK    takes MEAN, SUM, REDUCE_MAX and REDUCE_MIN over any dimensions in fp32, fp16 and int8; the others
           never. A cumulative sum of floats is a FULLY_CONNECTED with a triangle of ones.

Squares are SQUARED_DIFFERENCE with zero in fp16 files (`arithmetic.squared`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from exporters.tflite.direct.arithmetic import binary, squared
from exporters.tflite.direct.axes import Value, axes_of, sizes
from exporters.tflite.direct.unsupported import UnsupportedError
from exporters.tflite.direct.writer import Operations, Writer, aten, dimension, dimensions

Dims = int | Sequence[int] | None


def reduced(w: Writer, kind: str, x: Value, dims: Sequence[int], *, keep: bool) -> Value:
    """One reducing operator over `dims`, counted from the front; `keep` leaves them with size one."""
    if x.broadcast:
        x = w.layout.straight(x)
    gone = tuple(axis for dim in dims for axis in x.logical[dim])
    x = w.layout.apart(x, [gone])
    places = [i for i, axes in enumerate(x.physical) if axes and axes[0] in set(gone)]
    physical = tuple(() if i in places else axes for i, axes in enumerate(x.physical))
    logical = [() if i in dims else axes for i, axes in enumerate(x.logical) if keep or i not in dims]
    held = w.layout.tensor(x)
    if not places:
        return w.value(held, physical, logical)
    shape = sizes(physical)
    made = w.file.operator(kind, [held, w.index(places, "axes")], shape, x.dtype, keepDims=True)
    return w.value(made, physical, logical)


def _reduction(kind: str) -> Any:
    def write(w: Writer, x: Value, dims: Dims = None, keep: bool = False, *_: Any) -> Value:
        if x.dtype.kind != "f" and kind == "MEAN":
            x = w.cast(x, np.float32)
        if x.dtype.kind == "b" and kind == "SUM":
            x = w.cast(x, np.int64)
        return reduced(w, kind, x, dimensions(x, dims), keep=keep)

    return write


mean, total = _reduction("MEAN"), _reduction("SUM")


def variance(
    w: Writer, x: Value, dims: Dims = None, correction: float | None = 1, keep: bool = False
) -> Value:
    """The mean of (x - mean)^2, times n / (n - correction)."""
    chosen = dimensions(x, dims)
    centred = binary(w, "SUB", x, reduced(w, "MEAN", x, chosen, keep=True))
    spread = reduced(w, "MEAN", squared(w, centred), chosen, keep=keep)
    count = int(np.prod([x.shape[dim] for dim in chosen]))
    less = 1 if correction is None else correction
    return binary(w, "MUL", spread, count / (count - less)) if less else spread


def deviation(
    w: Writer, x: Value, dims: Dims = None, correction: float | None = 1, keep: bool = False
) -> Value:
    return w.unary("SQRT", variance(w, x, dims, correction, keep))


def _unbiased(write: Any) -> Any:
    """The older overloads, with a flag `unbiased` in place of the number `correction`."""

    def flagged(w: Writer, x: Value, dims: Dims, unbiased: bool = True, keep: bool = False) -> Value:
        found: Value = write(w, x, dims, int(unbiased), keep)
        return found

    return flagged


def norm(w: Writer, x: Value, order: float = 2, dims: Dims = None, keep: bool = False, *_: Any) -> Value:
    chosen = dimensions(x, dims)
    if order == 2:
        return w.unary("SQRT", reduced(w, "SUM", squared(w, x), chosen, keep=keep))
    if order in (1, float("inf")):
        return reduced(w, "SUM" if order == 1 else "REDUCE_MAX", w.unary("ABS", x), chosen, keep=keep)
    raise UnsupportedError(f"a norm of order {order}")


def norm_of(w: Writer, x: Value, order: float | None, dims: Dims, keep: bool = False, *_: Any) -> Value:
    return norm(w, x, 2 if order is None else order, dims, keep)


def logsumexp(w: Writer, x: Value, dims: Dims, keep: bool = False) -> Value:
    """max + log(sum(exp(x - max)))"""
    chosen = dimensions(x, dims)
    high = reduced(w, "REDUCE_MAX", x, chosen, keep=True)
    small = w.unary("EXP", binary(w, "SUB", x, high))
    y = binary(w, "ADD", w.unary("LOG", reduced(w, "SUM", small, chosen, keep=True)), high)
    return y if keep else y.seen_as(axes for i, axes in enumerate(y.logical) if i not in chosen)


def _extreme(kind: str, place: str) -> Any:
    """max or min along a dimension: the values and, if the graph reads them, their indices."""

    def write(w: Writer, x: Value, dim: int, keep: bool = False) -> list[Value]:
        dim = dimension(x, dim)
        values = reduced(w, kind, x, [dim], keep=keep)
        read = {user.args[1] for user in w.node.users} if w.node is not None else set()
        return [values, _place(w, place, x, dim, keep)] if 1 in read else [values]

    return write


def _argument(kind: str) -> Any:
    def write(w: Writer, x: Value, dim: int | None = None, keep: bool = False) -> Value:
        if dim is None:
            x, dim = w.layout.reshape_view(x, [int(np.prod(x.shape))]), 0
        return _place(w, kind, x, dimension(x, dim), keep)

    return write


def _place(w: Writer, kind: str, x: Value, dim: int, keep: bool) -> Value:
    x, place = w.layout.in_one(w.layout.straight(x) if x.broadcast else x, dim)
    physical = tuple(axes for i, axes in enumerate(x.physical) if i != place)
    held, along = w.layout.tensor(x), w.index(place, "axis")
    types = w.file.schema.TensorType
    made = w.file.operator(kind, [held, along], sizes(physical), np.int64, outputType=types.INT64)
    logical = [() if i == dim else axes for i, axes in enumerate(x.logical) if keep or i != dim]
    return w.value(made, physical, logical)


def topk(
    w: Writer, x: Value, count: int, dim: int = -1, largest: bool = True, _sorted: bool = True
) -> list[Value]:
    if not largest:
        x = w.unary("NEG", x)
    dim = dimension(x, dim)
    x = w.layout.with_last(x, x.logical[dim])
    axes = axes_of([count])[0]
    physical = (*x.physical[:-1], axes)
    logical = [axes if i == dim else one for i, one in enumerate(x.logical)]
    shape = sizes(physical)
    inputs = [w.layout.tensor(x), w.index(count, "k")]
    values, places = w.file.operators("TOPK_V2", inputs, [(shape, x.dtype), (shape, np.int32)])
    found = w.value(values, physical, logical)
    where = w.cast(w.value(places, physical, logical), np.int64)
    return [found if largest else w.unary("NEG", found), where]


def cumsum(w: Writer, x: Value, dim: int, *_: Any) -> Value:
    dim = dimension(x, dim)
    count = x.shape[dim]
    if x.dtype.kind == "f" and count <= 1024:
        from exporters.tflite.direct.linear import linear

        ones = w.constant(np.tril(np.ones((count, count), np.float32)), name="ones")
        others = [axes for i, axes in enumerate(x.logical) if i != dim]
        y = linear(w, x.seen_as((*others, x.logical[dim])), ones)
        return y.seen_as((*y.logical[:dim], y.logical[-1], *y.logical[dim:-1]))
    x, place = w.layout.in_one(x, dim)
    held = [w.layout.tensor(x), w.index(place, "axis")]
    return w.same(x, w.file.operator("CUMSUM", held, sizes(x.physical), x.dtype))


OPERATIONS: Operations = {
    aten.mean.dim: mean,
    aten.mean.default: lambda w, x, *_: mean(w, x),
    aten.sum.dim_IntList: total,
    aten.sum.default: lambda w, x, *_: total(w, x),
    aten.amax.default: _reduction("REDUCE_MAX"),
    aten.amin.default: _reduction("REDUCE_MIN"),
    aten.max.default: _reduction("REDUCE_MAX"),
    aten.min.default: _reduction("REDUCE_MIN"),
    aten.max.dim: _extreme("REDUCE_MAX", "ARG_MAX"),
    aten.min.dim: _extreme("REDUCE_MIN", "ARG_MIN"),
    aten.prod.dim_int: _reduction("REDUCE_PROD"),
    aten.prod.default: lambda w, x, *_: _reduction("REDUCE_PROD")(w, x),
    aten.var.correction: variance,
    aten.var.dim: _unbiased(variance),
    aten.var.default: lambda w, x, unbiased=True: variance(w, x, None, int(unbiased)),
    aten.std.correction: deviation,
    aten.std.dim: _unbiased(deviation),
    aten.std.default: lambda w, x, unbiased=True: deviation(w, x, None, int(unbiased)),
    aten.linalg_vector_norm.default: norm,
    aten.norm.ScalarOpt_dim: norm_of,
    aten.norm.Scalar: lambda w, x, order=2: norm(w, x, order),
    aten.logsumexp.default: logsumexp,
    aten.argmax.default: _argument("ARG_MAX"),
    aten.argmin.default: _argument("ARG_MIN"),
    aten.topk.default: topk,
    aten.cumsum.default: cumsum,
}
