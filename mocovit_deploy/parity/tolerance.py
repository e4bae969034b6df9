"""The one table of tolerances, keyed by format, recipe and the arithmetic that really ran.

Each entry carries what was measured when it was set, so that a reader can see how much room it leaves.
There is no default: an untabled combination has no verdict.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How far a file may be from the original network."""

    max_error: float
    """Largest absolute difference, relative to the range of the original's output over all samples."""
    measured: float
    """The same quantity for `mocovit_1_0` when this entry was set."""


TOLERANCES = {
    # (format, recipe, arithmetic)
    ("onnx", "fp32", "fp32"): Tolerance(max_error=1e-5, measured=4.7e-7),
    ("onnx", "fp16", "fp32"): Tolerance(max_error=1e-2, measured=1e-3),
    ("coreml", "fp32", "fp32"): Tolerance(max_error=1e-5, measured=5.4e-7),
    ("coreml", "fp16", "fp16"): Tolerance(max_error=5e-3, measured=1.2e-3),
    ("tflite", "fp32", "fp32"): Tolerance(max_error=1e-5, measured=7e-7),
    ("tflite", "fp32", "fp16"): Tolerance(max_error=1e-2, measured=3.7e-3),
    ("tflite", "fp16", "fp32"): Tolerance(max_error=1e-5, measured=7e-7),
    ("tflite", "fp16", "fp16"): Tolerance(max_error=1e-2, measured=3.7e-3),
    ("tflite", "fp16_weights", "fp32"): Tolerance(max_error=2e-3, measured=6.4e-4),
    ("tflite", "fp16_weights", "fp16"): Tolerance(max_error=1e-2, measured=3.7e-3),
}

MEANT_ARITHMETIC = {"fp32": "fp32", "fp16": "fp16", "fp16_weights": "fp16"}
"""What a file of each recipe is made to be computed in."""

LIVELINESS = 10.0
"""How many times the tolerance an output must vary with the input for a comparison to prove anything."""
