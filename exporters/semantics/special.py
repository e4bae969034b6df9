"""Functions numpy does not have."""

from __future__ import annotations

import numpy as np

from mocovit_deploy.artifacts.artifact import Array

# erf(x) = x P(x^2) / Q(x^2) on |x| <= 4, and 1 to float32's precision beyond: the rational minimax
# approximation of Eigen and XLA (Eigen, src/SpecialFunctions, generic_fast_erf_float), highest power first.
_P = (
    -2.72614225801306e-10,
    2.77068142495902e-08,
    -2.10102402082508e-06,
    -5.69250639462346e-05,
    -7.34990630326855e-04,
    -2.95459980854025e-03,
    -1.60960333262415e-02,
)
_Q = (
    -1.45660718464996e-05,
    -2.13374055278905e-04,
    -1.68282697438203e-03,
    -7.37332916720468e-03,
    -1.42647390514189e-02,
)


def erf(x: Array) -> Array:
    """The error function, to 5e-7 of absolute error (a test compares it with `math.erf`)."""
    z = np.clip(x, np.float32(-4), np.float32(4))
    square = z * z
    return z * np.polyval(np.array(_P, z.dtype), square) / np.polyval(np.array(_Q, z.dtype), square)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)); where exp overflows, 1 / infinity is the right answer."""
    return 1 / (1 + np.exp(-x))
