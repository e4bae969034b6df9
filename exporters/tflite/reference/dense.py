"""Matrix products and convolutions. Images are (N, H, W, C), as in the file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from exporters.semantics.correlation import correlate
from exporters.semantics.half import sums
from exporters.semantics.half.arithmetic import Half
from exporters.semantics.half.convolution import convolve
from exporters.semantics.spatial import Index, extent, padded, resolve_pads, shifts, window_places
from exporters.tflite.reference.elementwise import activated
from exporters.tflite.reference.program import Step
from mocovit_deploy.artifacts.artifact import Array

PADDING = ("same", "valid")
"""The names of the schema's enumeration `Padding`, by number."""


def conv_2d(step: Step, x: Array, weight: Array, bias: Array | None = None) -> Array:
    """x (N, H, W, Ci), weight (Co, kh, kw, Ci / groups)."""
    groups = x.shape[3] // weight.shape[3]
    y = _conv(step, x, np.moveaxis(weight, -1, 1), bias, groups)
    return activated(y, step.options)


def depthwise_conv_2d(step: Step, x: Array, weight: Array, bias: Array | None = None) -> Array:
    """x (N, H, W, C), weight (1, kh, kw, C * multiplier)."""
    y = _conv(step, x, np.moveaxis(weight, -1, 0), bias, x.shape[3])
    return activated(y, step.options)


def _conv(step: Step, x: Array, weight: Array, bias: Array | None, groups: int) -> Array:
    """weight (Co, Ci / groups, kh, kw)."""
    options = step.options
    strides = (options.strideH, options.strideW)
    dilations = (options.dilationHFactor, options.dilationWFactor)
    images = np.moveaxis(x, -1, 1)
    window = extent(weight.shape[2:], dilations)
    pads = resolve_pads(PADDING[options.padding], (), images.shape[2:], window, strides)
    out = window_places(images.shape[2:], pads, window, strides)
    images = padded(images, pads, 0.0)
    if x.dtype != Half:
        y = correlate(images, weight, strides, dilations, groups, out)
        return np.moveaxis(y if bias is None else y + bias[:, None, None], 1, -1)
    y = convolve(images, weight, bias, strides, dilations, groups, out)
    return np.moveaxis(y, 1, -1)


def transpose_conv(step: Step, _shape: Array, weight: Array, x: Array, bias: Array | None = None) -> Array:
    """x (N, H, W, Ci), weight (Co, kh, kw, Ci): every sample adds its multiple of the kernel to the output.

    Computed as a convolution with the mirrored kernel over x with zeros between its samples.
    """
    options = step.options
    strides = (options.strideH, options.strideW)
    kernel, out = weight.shape[1:3], step.shape[1:3]
    sizes = tuple((n - 1) * stride + 1 for n, stride in zip(x.shape[1:3], strides, strict=True))
    spread = np.zeros((x.shape[0], x.shape[3], *sizes), x.dtype)
    every: Index = (..., slice(None, None, strides[0]), slice(None, None, strides[1]))
    spread[every] = np.moveaxis(x, -1, 1)
    before = []
    for size, taps, stride, made in zip(x.shape[1:3], kernel, strides, out, strict=True):
        cut = max(0, (size - 1) * stride + taps - made) // 2 if PADDING[options.padding] == "same" else 0
        before.append(taps - 1 - cut)
    pads = tuple(
        (first, n + taps - 1 - size - first)
        for first, n, taps, size in zip(before, out, kernel, spread.shape[2:], strict=True)
    )
    canvas = padded(spread, pads, 0.0)
    # A tap of the kernel meets the canvas at its mirror image.
    seen = dict(shifts(canvas, kernel, (1, 1), (1, 1), out))
    rows = np.stack(
        [
            np.moveaxis(seen[kernel[0] - 1 - row, kernel[1] - 1 - column], 1, -1)
            for row, column in np.ndindex(*kernel)
        ],
        axis=3,
    )
    left = rows.reshape(-1, np.prod(kernel) * x.shape[3])
    right = weight.reshape(weight.shape[0], -1).T
    if x.dtype == Half:
        # With strides XNNPACK takes the single-row kernel for images of any size (`subconv2d`).
        strided = max(strides) > 1 and x.shape[0] <= sums.FEW_ROWS
        y = sums.product(left, right, bias, run=x.shape[3], single_row=strided)
    else:
        y = _product(left, right, bias)
    return activated(y.reshape(x.shape[0], *out, -1), options)


def fully_connected(step: Step, x: Array, weight: Array, bias: Array | None = None) -> Array:
    """x (*, K), weight (N, K)."""
    y = _product(x.reshape(-1, weight.shape[1]), weight.T, bias)
    return activated(y.reshape(step.shape), step.options)


def batch_matmul(step: Step, left: Array, right: Array) -> Array:
    """(*B, M, K) times (*B, K, N); either may be stored transposed (`adjX`, `adjY`)."""
    if step.options.adjX:
        left = np.swapaxes(left, -1, -2)
    if step.options.adjY:
        right = np.swapaxes(right, -1, -2)
    return _product(left, right, None)


def _product(left: Array, right: Array, bias: Array | None) -> Array:
    if left.dtype == Half:
        return sums.product(left, right, bias)
    y = np.asarray(left @ right)
    return y if bias is None else y + bias


def macs(step: Step, shapes: Sequence[tuple[int, ...]]) -> int:
    """The multiply-accumulates of a step of this family, from the shapes of its inputs."""
    out = int(np.prod(step.shape))
    if step.kind == "BATCH_MATMUL":
        return out * shapes[0][-2 if step.options.adjX else -1]
    if step.kind == "TRANSPOSE_CONV":
        return int(np.prod(shapes[2])) * int(np.prod(shapes[1][:3]))
    if step.kind == "DEPTHWISE_CONV_2D":
        return out * int(np.prod(shapes[1][1:3]))
    return out * int(np.prod(shapes[1][1:]))


OPERATIONS = (
    ("BATCH_MATMUL", batch_matmul),
    ("CONV_2D", conv_2d),
    ("DEPTHWISE_CONV_2D", depthwise_conv_2d),
    ("FULLY_CONNECTED", fully_connected),
    ("TRANSPOSE_CONV", transpose_conv),
)
