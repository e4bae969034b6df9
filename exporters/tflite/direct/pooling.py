"""Pooling.

ATen       max_pool1d and 2d, avg_pool1d and 2d, adaptive_avg_pool and adaptive_max_pool of 1d and 2d
TFLite     MAX_POOL_2D, AVERAGE_POOL_2D, MEAN to one pixel; one BATCH_MATMUL with a constant where an
           adaptive pool does not divide the image
XNNPACK    takes MAX_POOL_2D and MEAN in fp32, fp16 and int8, AVERAGE_POOL_2D in fp32 and fp16. It takes no
           pool with a 1x1 window and a stride, which is written as a DEPTHWISE_CONV_2D with ones

    x (N, C, H, W), any view     laid out as (N), (H), (W), (C)

max      the padding must never win: zeros after a ReLU, else the lowest number
average  zeros around the image; where fewer elements count (count_include_pad=False, ceil_mode,
         divisor_override) a MUL with window / count for each pixel
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import fx

from exporters.tflite.direct.arithmetic import binary
from exporters.tflite.direct.axes import Array, Value, axes_of, flat
from exporters.tflite.direct.convolution import padded_for
from exporters.tflite.direct.linear import batch_matmul
from exporters.tflite.direct.padding import filled_around
from exporters.tflite.direct.reduction import reduced
from exporters.tflite.direct.unsupported import UnsupportedError
from exporters.tflite.direct.views import unsqueezed
from exporters.tflite.direct.writer import Operations, Writer, aten, both, clamp_bounds

Pair = tuple[int, int]
LOWEST = float(np.finfo(np.float32).min)


def max_pool2d(
    w: Writer,
    x: Value,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> Value:
    if both(dilation) != (1, 1):
        raise UnsupportedError("a dilated window")
    window, strides, pads = both(kernel), both(stride or kernel), both(padding)
    if x.rank == 3:
        y = max_pool2d(w, unsqueezed(x, 0), window, strides, pads, (1,), ceil_mode)
        return y.seen_as(y.logical[1:])
    out = [_count(x.shape[2 + i], window[i], strides[i], pads[i], ceil_mode) for i in (0, 1)]
    if window == (1, 1) and pads == (0, 0):
        return _picked(w, x, strides)
    if (any(pads) or ceil_mode) and not _never_negative(w.node):
        for i in (0, 1):
            after = (out[i] - 1) * strides[i] + window[i] - x.shape[2 + i] - pads[i]
            if pads[i] or after > 0:
                x = filled_around(w, x, 2 + i, pads[i], max(after, 0), LOWEST)
        pads = (0, 0)
    return _pooled(w, "MAX_POOL_2D", x, window, strides, pads, out)


def avg_pool2d(
    w: Writer,
    x: Value,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    include_pad: bool = True,
    divisor: int | None = None,
) -> Value:
    window, strides, pads = both(kernel), both(stride or kernel), both(padding)
    if x.rank == 3:
        y = avg_pool2d(w, unsqueezed(x, 0), window, strides, pads, ceil_mode, include_pad, divisor)
        return y.seen_as(y.logical[1:])
    out = [_count(x.shape[2 + i], window[i], strides[i], pads[i], ceil_mode) for i in (0, 1)]
    counts = [_counted(x.shape[2 + i], window[i], strides[i], pads[i], out[i], include_pad) for i in (0, 1)]
    divisors = np.outer(*counts) if divisor is None else np.full(out, divisor)
    if window == (1, 1) and pads == (0, 0):
        y = _picked(w, x, strides)
    else:
        y = _pooled(w, "AVERAGE_POOL_2D", x, window, strides, pads, out)
    factors = (window[0] * window[1] / divisors).astype(np.float32)
    if (factors == 1).all():
        return y
    return binary(w, "MUL", y, float(factors[0, 0]) if len(set(factors.flat)) == 1 else w.constant(factors))


def _count(size: int, window: int, stride: int, pad: int, ceil_mode: bool) -> int:
    """The number of windows; with `ceil_mode` the last may begin inside and end outside."""
    spare = size + 2 * pad - window
    count = (-(-spare // stride) if ceil_mode else spare // stride) + 1
    return count - 1 if ceil_mode and (count - 1) * stride >= size + pad else count


def _counted(size: int, window: int, stride: int, pad: int, out: int, include_pad: bool) -> Array:
    """The number of elements of each window that count, along one dimension."""
    start = np.arange(out) * stride - pad
    end = np.minimum(start + window, size + pad)
    if include_pad:
        return np.asarray(end - start)
    return np.asarray(np.minimum(end, size) - np.maximum(start, 0))


def _pooled(
    w: Writer, kind: str, x: Value, window: Pair, strides: Pair, pads: Pair, out: Sequence[int]
) -> Value:
    n, c, h, width = x.logical
    size = (x.shape[2], x.shape[3])
    tensor, mode = w.layout.lay(x, (n, h, width, c)), w.file.schema.Padding.VALID
    read = [(out[i] - 1) * strides[i] + window[i] for i in (0, 1)]
    if any(pads) or any(read[i] > size[i] for i in (0, 1)):
        if kind == "AVERAGE_POOL_2D":  # SAME would not count the padding
            read = [max(read[i], size[i] + pads[i]) for i in (0, 1)]
            around = [(pads[i], read[i] - size[i] - pads[i]) for i in (0, 1)]
            tensor = padded_pool(w, tensor, around)
        else:
            tensor, mode = padded_for(w, tensor, size, window, strides, [(p, p) for p in pads], out)
    shape = (x.shape[0], *out, x.shape[1])
    made = w.file.operator(
        kind,
        [tensor],
        shape,
        x.dtype,
        padding=mode,
        strideH=strides[0],
        strideW=strides[1],
        filterHeight=window[0],
        filterWidth=window[1],
    )
    rows, columns = axes_of(out)
    return w.value(made, (n, rows, columns, c), (n, c, rows, columns))


def padded_pool(w: Writer, tensor: int, around: Sequence[Pair]) -> int:
    from exporters.tflite.direct.padding import padded_tensor

    return padded_tensor(w, tensor, [(0, 0), *around, (0, 0)])


def _picked(w: Writer, x: Value, strides: Pair) -> Value:
    """Every n-th pixel, by a depthwise convolution with ones."""
    if strides == (1, 1):
        return x
    from exporters.tflite.direct.convolution import convolved

    ones, channels = np.ones((x.shape[1], 1, 1, 1), np.float32), x.shape[1]
    return convolved(w, x, ones, None, strides, [(0, 0), (0, 0)], (1, 1), channels, "ones")


def _never_negative(node: fx.Node | None) -> bool:
    """True if the input of this node is never negative, so that zeros around it never win."""
    source = node.args[0] if node is not None else None
    if not isinstance(source, fx.Node):
        return False
    low = clamp_bounds(source)[0]
    return (low is not None and low >= 0) or source.target in (
        aten.sigmoid.default,
        aten.hardsigmoid.default,
        aten.softmax.int,
        aten.square.default,
    )


def adaptive_avg_pool2d(w: Writer, x: Value, wanted: Sequence[int | None]) -> Value:
    size = x.shape[-2:]
    out = [size[i] if one is None else one for i, one in enumerate(both(wanted))]  # type: ignore[arg-type]
    if out == [1, 1]:
        return reduced(w, "MEAN", x, [x.rank - 2, x.rank - 1], keep=True)
    if x.rank == 3:
        y = adaptive_avg_pool2d(w, unsqueezed(x, 0), out)
        return y.seen_as(y.logical[1:])
    if all(size[i] % out[i] == 0 for i in (0, 1)):
        window = (size[0] // out[0], size[1] // out[1])
        return x if window == (1, 1) else _pooled(w, "AVERAGE_POOL_2D", x, window, window, (0, 0), out)
    # (out, size) @ (size, C): the means of all windows at once.
    means = np.kron(_window_means(size[0], out[0]), _window_means(size[1], out[1]))
    return pixels_mixed(w, x, means, out)


def pixels_mixed(w: Writer, x: Value, weights: Array, out: Sequence[int]) -> Value:
    """weights (out H * out W, H * W) times the pixels of x (N, C, H, W), as an image of `out`."""
    n, c, h, width = x.logical
    pixels = x.seen_as((n, flat((h, width)), c))
    matrix = w.constant(np.asarray(weights, np.float32), name="pixels")
    y = batch_matmul(w, matrix.seen_as(((), *matrix.logical)), pixels)
    rows_columns = y.shape[1]
    assert rows_columns == out[0] * out[1]
    y = w.layout.reshape_view(y, [y.shape[0], *out, y.shape[2]])
    return y.seen_as((y.logical[0], y.logical[3], y.logical[1], y.logical[2]))


def _window_means(size: int, out: int) -> Array:
    """(out, size): the weights that average the windows of adaptive pooling."""
    weights = np.zeros((out, size))
    for i in range(out):
        start, end = i * size // out, -(-(i + 1) * size // out)
        weights[i, start:end] = 1 / (end - start)
    return weights


def adaptive_max_pool2d(w: Writer, x: Value, wanted: Sequence[int]) -> list[Value]:
    if x.rank == 3:
        (y,) = adaptive_max_pool2d(w, unsqueezed(x, 0), wanted)
        return [y.seen_as(y.logical[1:])]
    size, out = x.shape[-2:], both(wanted)
    if out == (1, 1):
        return [reduced(w, "REDUCE_MAX", x, [2, 3], keep=True)]
    if any(size[i] % out[i] for i in (0, 1)):
        raise UnsupportedError("windows of different sizes")
    window = (size[0] // out[0], size[1] // out[1])
    return [_pooled(w, "MAX_POOL_2D", x, window, window, (0, 0), out)]


def _in_one_row(x: Value) -> Value:
    return unsqueezed(x, x.rank - 1)


def _out_of_row(y: Value) -> Value:
    return y.seen_as((*y.logical[:-2], y.logical[-1]))


def max_pool1d(
    w: Writer,
    x: Value,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> Value:
    wide, step = (1, *kernel), (1, *(stride or kernel))
    row = _in_one_row(x)
    return _out_of_row(max_pool2d(w, row, wide, step, [0, *padding], [1, *dilation], ceil_mode))


def avg_pool1d(
    w: Writer,
    x: Value,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    include_pad: bool = True,
) -> Value:
    wide, step = (1, *kernel), (1, *(stride or kernel))
    return _out_of_row(avg_pool2d(w, _in_one_row(x), wide, step, [0, *padding], ceil_mode, include_pad))


def adaptive_avg_pool1d(w: Writer, x: Value, wanted: Sequence[int]) -> Value:
    return _out_of_row(adaptive_avg_pool2d(w, _in_one_row(x), [1, *wanted]))


def adaptive_max_pool1d(w: Writer, x: Value, wanted: Sequence[int]) -> list[Value]:
    (y,) = adaptive_max_pool2d(w, _in_one_row(x), [1, *wanted])
    return [_out_of_row(y)]


def with_indices(w: Writer, x: Value, *arguments: object) -> list[Value]:
    """The pooled values alone: TFLite has no operator for their indices, the second result."""
    return [max_pool2d(w, x, *arguments)]  # type: ignore[arg-type]


OPERATIONS: Operations = {
    aten.max_pool2d.default: max_pool2d,
    aten.max_pool2d_with_indices.default: with_indices,
    aten.max_pool1d.default: max_pool1d,
    aten.avg_pool2d.default: avg_pool2d,
    aten.avg_pool1d.default: avg_pool1d,
    aten.adaptive_avg_pool2d.default: adaptive_avg_pool2d,
    aten._adaptive_avg_pool2d.default: adaptive_avg_pool2d,
    aten.adaptive_avg_pool1d.default: adaptive_avg_pool1d,
    aten.adaptive_max_pool2d.default: adaptive_max_pool2d,
    aten.adaptive_max_pool1d.default: adaptive_max_pool1d,
}
