"""Convolutions of fp16 images (N, C, H, W), by the kernels that XNNPACK or ONNX Runtime chooses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from exporters.semantics.half import sums
from exporters.semantics.half.arithmetic import Half
from exporters.semantics.spatial import shifts
from mocovit_deploy.artifacts.artifact import Array


def convolve(
    x: Array,
    weight: Array,
    bias: Array | None,
    strides: Sequence[int],
    dilations: Sequence[int],
    groups: int,
    out: tuple[int, ...],
    *,
    plain: bool = False,
) -> Array:
    """Padded x (N, Ci, *in), weight (Co, Ci / groups, *kernel) -> (N, Co, *out), float16.

    XNNPACK's dwconv takes filters of one channel with 2 to 25 taps, gemm and igemm all others. `plain` sums
    in the order of ONNX Runtime's kernels instead (sums.py).
    """
    taps = int(np.prod(weight.shape[2:]))
    if weight.shape[:2] == (groups, 1) and len(out) == 2 and 1 < taps <= sums.LARGEST_DEPTHWISE:
        return sums.depthwise(x, weight[:, 0], bias, strides, dilations, out, plain=plain)
    features, channels = weight.shape[0] // groups, weight.shape[1]
    seen = [view for _, view in shifts(x, weight.shape[2:], strides, dilations, out)]
    y = np.empty((x.shape[0], *out, weight.shape[0]), Half)
    for group in range(groups):
        read, made = (slice(group * n, (group + 1) * n) for n in (channels, features))
        # (N, *out, taps, C): a row of the product holds the taps of the kernel, and the channels of each
        rows = np.stack([np.moveaxis(view[:, read], 1, -1) for view in seen], axis=-2)
        filters = np.moveaxis(weight[made], 1, -1).reshape(features, -1).T
        some = None if bias is None else bias[made]
        flat = rows.reshape(-1, filters.shape[0])
        products = sums.product(flat, filters, some, run=channels, plain=plain)
        y[..., made] = products.reshape(*y.shape[:-1], features)
    return np.moveaxis(y, -1, 1)
