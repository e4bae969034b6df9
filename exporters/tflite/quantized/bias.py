"""Bias correction: rounding weights changes the mean output of a layer, and its bias takes the change back.

    before   y = conv(x, W) + b                   after   y = conv(x, Q) + b - (Q - W) m

m is the mean of each channel of x on the calibration images, without the zeros of padding.

Shapes    W, Q in the file's layout; m (Cin,); b (Cout,)
Exact     in the mean over positions and images, for each output channel
Source    arXiv:1906.04721, section 4.2 (with observed in place of derived means)
"""

from __future__ import annotations

import numpy as np

from mocovit_deploy.artifacts.artifact import Array


def mean_error(kind: str, error: Array, means: Array) -> Array | None:
    """The mean error of each output channel, (Cout,); None for a kind or a shape that is not handled.

    `error` is Q - W: (Cout, kH, kW, Cin / groups) of CONV_2D, (1, kH, kW, Cout) of DEPTHWISE_CONV_2D,
    (Cout, Cin) of FULLY_CONNECTED.
    """
    if kind == "DEPTHWISE_CONV_2D":
        each, rest = divmod(error.shape[-1], len(means))
        return None if rest else np.asarray(error.sum(axis=(0, 1, 2)) * np.repeat(means, each))
    if kind == "FULLY_CONNECTED":
        return np.asarray(error @ means) if error.shape[1] == len(means) else None
    if kind != "CONV_2D":
        return None
    taps = error.sum(axis=(1, 2))
    groups, rest = divmod(len(means), taps.shape[1])
    if rest or taps.shape[0] % groups:
        return None
    parts = taps.reshape(groups, -1, taps.shape[1])
    return np.asarray(np.einsum("goi,gi->go", parts, means.reshape(groups, -1)).reshape(-1))
