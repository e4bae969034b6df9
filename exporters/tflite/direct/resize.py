"""Resizing of images.

ATen       upsample_bilinear2d, upsample_bicubic2d, upsample_nearest2d and 1d, upsample_linear1d
TFLite     RESIZE_BILINEAR; nearest by a whole factor is a view with broadcast axes, else one BATCH_MATMUL
           that picks pixels, else RESIZE_NEAREST_NEIGHBOR; bicubic is two BATCH_MATMULs with constants
XNNPACK    takes RESIZE_BILINEAR in fp32, fp16 and int8, RESIZE_NEAREST_NEIGHBOR never

    bilinear  x (N, C, H, W) laid out as (N), (H), (W), (C)
    nearest   (N, C, H, W) seen as (N, C, H r, W s): broadcasting in a following add or mul repeats the pixels
    bicubic   columns (Wo, W) times x seen as (W), (N H C); rows (Ho, H) times that seen as (H), (N Wo C)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from exporters.tflite.direct.axes import Array, Axis, Value, axes_of, flat
from exporters.tflite.direct.linear import batch_matmul
from exporters.tflite.direct.pooling import pixels_mixed
from exporters.tflite.direct.unsupported import UnsupportedError
from exporters.tflite.direct.views import unsqueezed
from exporters.tflite.direct.writer import Operations, Writer, aten
from mocovit_deploy.graph.resize import bicubic_matrices

MOST_WEIGHTS = 1 << 16
"""The most elements of the matrix that picks pixels: a larger product costs more than leaving XNNPACK."""


def bilinear(
    w: Writer,
    x: Value,
    out: Sequence[int],
    align_corners: bool,
    scale_h: float | None = None,
    scale_w: float | None = None,
) -> Value:
    size = x.shape[2:]
    if not align_corners:
        _check_scales(size, out, (scale_h, scale_w))
    n, c, h, width = x.logical
    if tuple(out) == tuple(size):
        return x
    held, shape = w.layout.lay(x, (n, h, width, c)), (x.shape[0], *out, x.shape[1])
    made = w.file.operator(
        "RESIZE_BILINEAR",
        [held, w.index(out, "size")],
        shape,
        alignCorners=align_corners,
        halfPixelCenters=not align_corners,
    )
    rows, columns = axes_of(out)
    return w.value(made, (n, rows, columns, c), (n, c, rows, columns))


def nearest(
    w: Writer, x: Value, out: Sequence[int], scale_h: float | None = None, scale_w: float | None = None
) -> Value:
    size = x.shape[2:]
    picks = [_picked(size[i], out[i], scale) for i, scale in enumerate((scale_h, scale_w))]
    if all(
        out[i] % size[i] == 0 and (picks[i] == np.arange(out[i]) * size[i] // out[i]).all() for i in (0, 1)
    ):
        times = [out[i] // size[i] for i in (0, 1)]
        inner = [(Axis(one),) if one > 1 else () for one in times]
        n, c, h, width = x.logical
        return x.seen_as((n, c, (*h, *inner[0]), (*width, *inner[1])))
    if out[0] * out[1] * size[0] * size[1] <= MOST_WEIGHTS:
        matrices = [np.eye(size[i])[picks[i]] for i in (0, 1)]
        return pixels_mixed(w, x, np.kron(*matrices), out)
    _check_scales(size, out, (scale_h, scale_w))
    n, c, h, width = x.logical
    shape, rows_columns = (x.shape[0], *out, x.shape[1]), axes_of(out)
    held = w.layout.lay(x, (n, h, width, c))
    made = w.file.operator("RESIZE_NEAREST_NEIGHBOR", [held, w.index(out, "size")], shape)
    return w.value(made, (n, *rows_columns, c), (n, c, *rows_columns))


def bicubic(w: Writer, x: Value, *_: Any) -> Value:
    assert w.node is not None
    rows, columns = (np.asarray(matrix, np.float32) for matrix in bicubic_matrices(w.node))
    wide = _product_along(w, columns, x, 3)  # first, so that the smaller image is the one transposed
    return _product_along(w, rows, wide, 2)


def _product_along(w: Writer, matrix: Array, x: Value, dim: int) -> Value:
    """`matrix` (out, size) times x (N, C, H, W) along dimension `dim`, 2 or 3, whose size becomes `out`."""
    n, c, h, width = x.logical
    rest = flat((n, width, c) if dim == 2 else (n, h, c))
    held = w.constant(matrix, name="bicubic")
    y = batch_matmul(w, held.seen_as(((), *held.logical)), x.seen_as(((), x.logical[dim], rest)))
    y = w.layout.reshape_view(y, [len(matrix), x.shape[0], x.shape[5 - dim], x.shape[1]])
    made, n, other, c = y.logical
    return y.seen_as((n, c, made, other) if dim == 2 else (n, c, other, made))


def _picked(size: int, out: int, scale: float | None) -> Array:
    """The index of the pixel that each new pixel copies, as PyTorch computes it in float32."""
    step = np.float32(1 / scale) if scale else np.float32(size) / np.float32(out)
    return np.minimum((np.arange(out, dtype=np.float32) * step).astype(np.int64), size - 1)


def _check_scales(size: Sequence[int], out: Sequence[int], scales: Sequence[float | None]) -> None:
    """Raise `UnsupportedError` if a factor differs from the ratio of sizes.

    TFLite computes the step from the sizes, PyTorch from a factor that is given.
    """
    for i, scale in enumerate(scales):
        if scale and abs(size[i] * scale - out[i]) > 1e-6 * out[i]:
            raise UnsupportedError(f"a factor of {scale} that does not give whole pixels")


def linear1d(
    w: Writer, x: Value, out: Sequence[int], align_corners: bool, scale: float | None = None
) -> Value:
    y = bilinear(w, unsqueezed(x, 2), [1, *out], align_corners, None, scale)
    return y.seen_as((*y.logical[:2], y.logical[3]))


def nearest1d(w: Writer, x: Value, out: Sequence[int], scale: float | None = None) -> Value:
    y = nearest(w, unsqueezed(x, 2), [1, *out], None, scale)
    return y.seen_as((*y.logical[:2], y.logical[3]))


def _size(x: Value, out: Sequence[int] | None, scales: Sequence[float] | None) -> list[int]:
    if out is not None:
        return list(out)
    return [int(one * scale) for one, scale in zip(x.shape[2:], scales or (), strict=True)]


def bilinear_vec(
    w: Writer, x: Value, out: Sequence[int] | None, align_corners: bool, scales: Sequence[float] | None
) -> Value:
    return bilinear(w, x, _size(x, out, scales), align_corners, *(scales or ()))


def nearest_vec(w: Writer, x: Value, out: Sequence[int] | None, scales: Sequence[float] | None) -> Value:
    return nearest(w, x, _size(x, out, scales), *(scales or ()))


OPERATIONS: Operations = {
    aten.upsample_bilinear2d.default: bilinear,
    aten.upsample_bilinear2d.vec: bilinear_vec,
    aten.upsample_bicubic2d.default: bicubic,
    aten.upsample_bicubic2d.vec: bicubic,
    aten.upsample_nearest2d.default: nearest,
    aten.upsample_nearest2d.vec: nearest_vec,
    aten.upsample_linear1d.default: linear1d,
    aten.upsample_linear1d.vec: lambda w, x, out, align, scales: linear1d(
        w, x, _size(x, out, scales), align, *(scales or ())
    ),
    aten.upsample_nearest1d.default: nearest1d,
    aten.upsample_nearest1d.vec: lambda w, x, out, scales: nearest1d(
        w, x, _size(x, out, scales), *(scales or ())
    ),
}
