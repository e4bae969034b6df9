"""Quantizing to 8 bits and back, with one scale and one zero point for a whole tensor.

Source: MIL operations of iOS 17, coremltools/converters/mil/mil/ops/defs/iOS17/quantization_ops.py
"""

from __future__ import annotations

import numpy as np

from mocovit_deploy.artifacts.artifact import Array


def quantize(input: Array, scale: Array, output_dtype: str, zero_point: Array | int = 0) -> Array:  # noqa: A002
    """round(input / scale) + zero_point, halves to even, clipped to the range of `output_dtype`."""
    limits = np.iinfo(output_dtype)
    steps = np.round(input / np.float32(scale)) + np.float32(zero_point)
    return np.clip(steps, limits.min, limits.max).astype(output_dtype)


def dequantize(input: Array, scale: Array, zero_point: Array | int = 0) -> Array:  # noqa: A002
    """scale * (input - zero_point)."""
    return np.float32(scale) * (input.astype(np.float32) - np.float32(zero_point))


OPERATIONS = (
    ("dequantize", dequantize),
    ("quantize", quantize),
)
