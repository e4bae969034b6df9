"""Linear layers and matrix products.

ATen       linear addmm mm matmul bmm baddbmm mv dot
TFLite     FULLY_CONNECTED with constant weights, else BATCH_MATMUL
XNNPACK    takes both in fp32 and fp16; in int8 a BATCH_MATMUL only if the right side's zero point is 0

    linear   x (..., K), weight (N, K), bias (N)      x laid out as ..., (K)
    matmul   a (..., M, K), b (..., K, N)             (batch), (M), (K) times (batch), (K), (N) or (N), (K)
             or the transposed product, b' (N, K) times a' (K, M) or (M, K): the form that moves least data
"""

from __future__ import annotations

import numpy as np

from exporters.tflite.direct.arithmetic import binary, meet
from exporters.tflite.direct.axes import Axes, Value, axes_of, flat, fresh, sizes
from exporters.tflite.direct.unsupported import UnsupportedError
from exporters.tflite.direct.views import unsqueezed
from exporters.tflite.direct.writer import Operations, Writer, aten


def linear(w: Writer, x: Value, weight: Value, bias: Value | None = None) -> Value:
    if weight.array is None or (bias is not None and bias.array is None):
        y = matmul(w, x, weight.seen_as(reversed(weight.logical)))
        return y if bias is None else binary(w, "ADD", y, bias)
    matrix = w.array(weight)
    if matrix.ndim != 2:
        raise UnsupportedError("a weight of one dimension")
    x = w.layout.with_last(x, x.logical[-1])
    offsets = np.zeros(len(matrix), np.float32) if bias is None else w.array(bias, "the bias")
    weights = [
        w.file.weight(matrix, weight.name or "weight"),
        w.file.constant(offsets, bias.name if bias is not None and bias.name else f"{weight.name}.bias"),
    ]
    dims = x.physical if len(x.physical) > 1 else ((), *x.physical)
    held = w.layout.lay(x, dims)
    out = axes_of([len(matrix)])[0]
    physical = (*dims[:-1], out)
    made = w.file.operator(
        "FULLY_CONNECTED",
        [held, *weights],
        sizes(physical),
        fusedActivationFunction=w.fused(),
        keepNumDims=len(dims) > 2,
    )
    return w.value(made, physical, (*x.logical[:-1], out))


def addmm(w: Writer, bias: Value, x: Value, y: Value, beta: float = 1, alpha: float = 1) -> Value:
    """beta * bias + alpha * x @ y"""
    if beta == alpha == 1 and bias.array is not None and y.array is not None and bias.rank == 1:
        return linear(w, x, _transposed(y), bias)
    made = matmul(w, x, y)
    made = made if alpha == 1 else binary(w, "MUL", made, alpha)
    return binary(w, "ADD", made, bias if beta == 1 else binary(w, "MUL", bias, beta))


def matmul(w: Writer, a: Value, b: Value) -> Value:
    if a.rank == 1 and b.rank == 1:
        y = matmul(w, unsqueezed(a, 0), unsqueezed(b, 1))
        return y.seen_as(())
    if a.rank == 1:
        y = matmul(w, unsqueezed(a, 0), b)
        return y.seen_as((*y.logical[:-2], y.logical[-1]))
    if b.rank == 1:
        y = matmul(w, a, unsqueezed(b, 1))
        return y.seen_as(y.logical[:-1])
    if b.array is not None and b.rank == 2 and a.array is None:
        return linear(w, a, _transposed(b))
    if b.rank == 2 and a.rank > 2:
        flattened = a.seen_as((flat(a.logical[:-1]), a.logical[-1]))
        y = batch_matmul(w, flattened.seen_as(((), *flattened.logical)), b.seen_as(((), *b.logical)))
        return w.layout.reshape_view(y, [*a.shape[:-1], b.shape[-1]])
    return batch_matmul(w, a, b)


def batch_matmul(w: Writer, a: Value, b: Value) -> Value:
    """a (..., M, K) @ b (..., K, N) with broadcast batches, as one BATCH_MATMUL."""
    rank = max(a.rank, b.rank)
    a = a.seen_as([()] * (rank - a.rank) + list(a.logical))
    b = b.seen_as([()] * (rank - b.rank) + list(b.logical))
    b = fresh(b)
    pairs = [(i, i) for i in range(rank - 2)] + [(rank - 1, rank - 2)]
    a, b = meet(w, a, b, pairs)
    shared = tuple(x or y for x, y in zip(a.logical[:-2], b.logical[:-2], strict=True))
    a, b = (v.seen_as((*shared, *v.logical[-2:])) for v in (a, b))
    batch, (rows, inner), columns = flat(shared), a.logical[-2:], b.logical[-1]
    left, right, swapped, flipped = _cheapest(a, b, batch, rows, inner, columns)
    tensors = [_operand(w, *left), _operand(w, *right)]
    out = (columns, rows) if swapped else (rows, columns)
    shape = sizes((batch, *out))
    made = w.file.operator("BATCH_MATMUL", tensors, shape, adjX=False, adjY=flipped)
    return w.value(made, (batch, *out), (*shared, rows, columns))


def _operand(w: Writer, value: Value, dims: tuple[Axes, ...]) -> int:
    """The tensor of an operand of BATCH_MATMUL.

    XNNPACK's product in fp16 takes no constant (LiteRT 2.3.0 cannot run such a file on ARM), but what an
    operator makes of one.
    """
    tensor = w.layout.lay(value, dims)
    if not w.half or value.array is None:
        return tensor
    shape = sizes(dims)
    return w.file.operator("RESHAPE", [tensor, w.index(shape, "shape")], shape)


def _cheapest(
    a: Value, b: Value, batch: Axes, rows: Axes, inner: Axes, columns: Axes
) -> tuple[tuple[Value, tuple[Axes, ...]], tuple[Value, tuple[Axes, ...]], bool, bool]:
    """The form of the product that moves the fewest elements, the plain product first among equals.

    Returns the left operand and its layout, the right operand and its layout, whether the product is
    transposed, and whether its right side is.
    """
    forms = [
        ((a, (batch, rows, inner)), (b, (batch, inner, columns)), False, False),
        ((a, (batch, rows, inner)), (b, (batch, columns, inner)), False, True),
        ((b, (batch, columns, inner)), (a, (batch, inner, rows)), True, False),
        ((b, (batch, columns, inner)), (a, (batch, rows, inner)), True, True),
    ]

    def cost(number: int) -> tuple[int, int]:
        left, right, _, _ = forms[number]
        moves = [value for value, dims in (left, right) if value.array is None and value.order != flat(dims)]
        return sum(int(np.prod(value.shape)) for value in moves), number

    return forms[min(range(len(forms)), key=cost)]


def baddbmm(w: Writer, bias: Value, x: Value, y: Value, beta: float = 1, alpha: float = 1) -> Value:
    """beta * bias + alpha * x @ y"""
    made = batch_matmul(w, x, y)
    made = made if alpha == 1 else binary(w, "MUL", made, alpha)
    return binary(w, "ADD", made, bias if beta == 1 else binary(w, "MUL", bias, beta)) if beta else made


def _transposed(x: Value) -> Value:
    return x.seen_as((x.logical[1], x.logical[0]))


OPERATIONS: Operations = {
    aten.linear.default: linear,
    aten.addmm.default: addmm,
    aten.mm.default: matmul,
    aten.matmul.default: matmul,
    aten.bmm.default: batch_matmul,
    aten.baddbmm.default: baddbmm,
    aten.mv.default: matmul,
    aten.dot.default: matmul,
}
