"""Convolution and transposed convolution, over one to three spatial axes. Sums are accumulated in float32."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from exporters.semantics.correlation import correlate
from exporters.semantics.spatial import Index, extent, padded, resolve_pads, shifts, window_places
from mocovit_deploy.artifacts.artifact import Array


def conv(
    x: Array,
    weight: Array,
    strides: Sequence[int],
    pad_type: str,
    pad: Sequence[int],
    dilations: Sequence[int],
    groups: int,
    bias: Array | None = None,
) -> Array:
    """x (N, Ci, *in), weight (Co, Ci / groups, *kernel), bias (Co,) -> (N, Co, *out)."""
    kernel = weight.shape[2:]
    window = extent(kernel, dilations)
    pads = resolve_pads(pad_type, pad, x.shape[2:], window, strides)
    out = window_places(x.shape[2:], pads, window, strides)
    x = padded(x, pads, 0.0)
    y = correlate(x, weight, strides, dilations, groups, out)
    return y if bias is None else _add_bias(y, bias)


def conv_transpose(
    x: Array,
    weight: Array,
    pad: Sequence[int],
    pad_type: str,
    strides: Sequence[int],
    dilations: Sequence[int],
    groups: int,
    bias: Array | None = None,
    output_shape: Sequence[int] | None = None,
) -> Array:
    """x (N, Ci, *in), weight (Ci, Co / groups, *kernel) -> (N, Co, *out).

    Every input sample adds its multiple of the kernel to a canvas, from which `pad` is cropped. If
    `output_shape` is larger than the rest (PyTorch's output_padding), zeros follow before the bias is added.
    """
    batch, channels = x.shape[:2]
    space, kernel = x.shape[2:], weight.shape[2:]
    window = extent(kernel, dilations)
    full = tuple((n - 1) * int(s) + w for n, s, w in zip(space, strides, window, strict=True))

    filters = weight.reshape(groups, channels // groups, -1)  # (g, Ci/g, Co/g * taps)
    products = np.swapaxes(filters, -1, -2) @ x.reshape(batch, groups, channels // groups, -1)
    features = groups * weight.shape[1]
    products = products.reshape(batch, features, *kernel, *space)
    canvas = np.zeros((batch, features, *full), x.dtype)
    for index, met in shifts(canvas, kernel, strides, dilations, space):
        tap: Index = (slice(None), slice(None), *index)
        np.add(met, products[tap], out=met)

    cut, out = _transposed_crop(pad_type, pad, space, full, strides, output_shape)
    missing = tuple((0, max(0, start + n - f)) for start, n, f in zip(cut, out, full, strict=True))
    kept: Index = (..., *(slice(start, start + n) for start, n in zip(cut, out, strict=True)))
    y = padded(canvas, missing, 0.0)[kept]
    return y if bias is None else _add_bias(y.copy(), bias)


def _transposed_crop(
    pad_type: str,
    pad: Sequence[int],
    space: Sequence[int],
    full: Sequence[int],
    strides: Sequence[int],
    output_shape: Sequence[int] | None,
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where the output begins on the canvas, and its size, along each axis."""
    if pad_type == "custom":
        start = tuple(int(p) for p in pad[0::2])
        out = tuple(
            f - int(before) - int(after) for f, before, after in zip(full, pad[0::2], pad[1::2], strict=True)
        )
    elif pad_type == "valid":
        start, out = tuple(0 for _ in full), tuple(full)
    elif pad_type == "same":
        out = tuple(n * int(s) for n, s in zip(space, strides, strict=True))
        start = tuple(max(0, f - n) // 2 for f, n in zip(full, out, strict=True))
    else:
        raise ValueError(f"pad_type {pad_type!r}")
    if output_shape is not None:
        out = tuple(int(n) for n in output_shape[2:])
        if pad_type == "same":
            start = tuple(max(0, f - n) // 2 for f, n in zip(full, out, strict=True))
    return start, out


def _add_bias(y: Array, bias: Array) -> Array:
    y += bias.reshape(-1, *(1 for _ in y.shape[2:]))
    return y


OPERATIONS = (("conv", conv), ("conv_transpose", conv_transpose))
