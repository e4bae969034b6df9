"""The table of tolerances, by format, recipe and the arithmetic that really ran.

Each entry holds the error that was measured when it was set, so that a reader sees how much room it leaves.
There is no default: a combination that is not in the table has no verdict.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How far a file may be from the original network."""

    max_error: float
    """The largest absolute difference, relative to the range of the original's output over all samples."""
    measured: float
    """The same quantity for `mocovit_1_0` when this entry was set; for mixed arithmetic, all in fp16."""
    min_varying_db: float | None = None
    """For quantized files, the least ratio of the part that varies with the input to the error, in dB; None
    for others.
    """
    measured_db: float | None = None
    """The same quantity for `mocovit_1_0` when this entry was set."""


MIXED = "mixed"
"""The arithmetic of a file computed in fp16 and in fp32, with less than `NEARLY_ALL` of its MACs in fp16."""

NEARLY_ALL = 0.99
"""The share of a file's MACs in fp16 from which its arithmetic is called fp16."""

INT8_AND_HALF = "int8 and fp16"
"""The arithmetic of a quantized file whose floating-point operators ran in fp16."""

TOLERANCES = {
    # (format, recipe, arithmetic)
    ("onnx", "fp32", "fp32"): Tolerance(max_error=1e-5, measured=4.7e-7),
    ("onnx", "fp16", "fp32"): Tolerance(max_error=1e-2, measured=1e-3),
    ("onnx", "fp16", "fp16"): Tolerance(max_error=1e-2, measured=4.3e-3),
    ("onnx", "fp16", MIXED): Tolerance(max_error=1e-2, measured=4.3e-3),
    ("onnx", "static_wi8_ai8", "int8"): Tolerance(
        max_error=0.35, measured=5.3e-2, min_varying_db=3.0, measured_db=11.6
    ),
    ("onnx", "weight_only_wi8_afp32", "fp32"): Tolerance(
        max_error=0.1, measured=8.4e-3, min_varying_db=12.0, measured_db=25.2
    ),
    ("coreml", "fp32", "fp32"): Tolerance(max_error=1e-5, measured=5.4e-7),
    ("coreml", "fp16", "fp16"): Tolerance(max_error=5e-3, measured=1.2e-3),
    ("coreml", "static_wi8_ai8", "int8"): Tolerance(
        max_error=0.35, measured=4.2e-2, min_varying_db=3.0, measured_db=12.6
    ),
    ("coreml", "static_wi8_ai8_fp16", INT8_AND_HALF): Tolerance(
        max_error=0.35, measured=4.6e-2, min_varying_db=3.0, measured_db=12.5
    ),
    ("coreml", "weight_only_wi8_afp32", "fp32"): Tolerance(
        max_error=0.1, measured=6.9e-3, min_varying_db=12.0, measured_db=26.9
    ),
    ("coreml", "weight_only_wi8_afp16", "fp16"): Tolerance(
        max_error=0.1, measured=6.3e-3, min_varying_db=12.0, measured_db=26.8
    ),
    ("coreml", "weight_only_wp6_afp16", "fp16"): Tolerance(
        max_error=0.25, measured=2.8e-2, min_varying_db=3.0, measured_db=12.9
    ),
    ("tflite", "fp32", "fp32"): Tolerance(max_error=1e-5, measured=7e-7),
    ("tflite", "fp32", "fp16"): Tolerance(max_error=1e-2, measured=3.7e-3),
    ("tflite", "fp32", MIXED): Tolerance(max_error=1e-2, measured=3.7e-3),
    ("tflite", "fp16", "fp32"): Tolerance(max_error=1e-5, measured=7e-7),
    ("tflite", "fp16", "fp16"): Tolerance(max_error=1e-2, measured=3.7e-3),
    ("tflite", "fp16", MIXED): Tolerance(max_error=1e-2, measured=3.7e-3),
    ("tflite", "fp16_weights", "fp32"): Tolerance(max_error=2e-3, measured=6.4e-4),
    ("tflite", "fp16_weights", "fp16"): Tolerance(max_error=1e-2, measured=3.7e-3),
    ("tflite", "fp16_weights", MIXED): Tolerance(max_error=1e-2, measured=3.7e-3),
    ("tflite", "static_wi8_ai8", "int8"): Tolerance(
        max_error=0.35, measured=6.2e-2, min_varying_db=3.0, measured_db=11.2
    ),
    ("tflite", "static_wi8_ai8_fp16", "int8"): Tolerance(
        max_error=0.35, measured=6.2e-2, min_varying_db=3.0, measured_db=11.2
    ),
    ("tflite", "static_wi8_ai8_fp16", INT8_AND_HALF): Tolerance(
        max_error=0.35, measured=6.2e-2, min_varying_db=3.0, measured_db=11.2
    ),
    ("tflite", "static_wi8_ai16", "int8"): Tolerance(
        max_error=0.1, measured=8.3e-3, min_varying_db=12.0, measured_db=25.1
    ),
    ("tflite", "mixed_wi8_ai8", "int8"): Tolerance(
        max_error=0.35, measured=5.8e-2, min_varying_db=3.0, measured_db=10.9
    ),
    ("tflite", "mixed_wi8_ai8_fp16", "int8"): Tolerance(
        max_error=0.35, measured=3.0e-2, min_varying_db=3.0, measured_db=15.0
    ),
    ("tflite", "mixed_wi8_ai8_fp16", INT8_AND_HALF): Tolerance(
        max_error=0.35, measured=1.9e-2, min_varying_db=3.0, measured_db=16.1
    ),
    ("tflite", "dynamic_wi8_afp32", "int8"): Tolerance(
        max_error=0.1, measured=1.1e-2, min_varying_db=12.0, measured_db=23.1
    ),
    ("tflite", "weight_only_wi8_afp32", "fp32"): Tolerance(
        max_error=0.1, measured=8.4e-3, min_varying_db=12.0, measured_db=25.2
    ),
}


@dataclass(frozen=True, kw_only=True)
class LayerTolerance:
    """How far a layer may be from the original's, relative to its own range over the samples."""

    carried: float
    """If the file runs from its inputs, with the errors of all earlier layers."""
    alone: float
    """If the layer runs from the original's values at the layers before it."""
    measured: tuple[float, float] | None
    """The largest (carried, alone) of the layers of mocovit_0_5, ghostnet_050, mobilevit_xxs,
    efficientvit_b0; None if layers are judged by `steps`."""
    steps: float | None = None
    """Of quantized files, whose layers are judged alone: an error may be so many times what rounding adds to
    the layer (layers/steps.py), and `alone` in any case; `carried` only tells values in an order
    of their own (layers/order.py). None for others."""
    measured_steps: float | None = None
    """The largest such multiple over the layers of the networks trained in examples/digits."""


_IN_STEPS = LayerTolerance(carried=0.05, alone=1e-3, measured=None, steps=4.0, measured_steps=2.9)
_IN_STEPS_AND_HALF = replace(_IN_STEPS, alone=1e-2)
"""Of files whose float operators are computed in half precision, which adds what it adds to fp16 files."""

LAYER_TOLERANCES = {
    # (format, recipe, arithmetic)
    ("onnx", "fp32", "fp32"): LayerTolerance(carried=5e-5, alone=1e-5, measured=(3.8e-6, 6.5e-7)),
    ("onnx", "fp16", "fp32"): LayerTolerance(carried=3e-2, alone=1e-2, measured=(5.5e-3, 2.1e-3)),
    ("onnx", "static_wi8_ai8", "int8"): _IN_STEPS,
    ("onnx", "weight_only_wi8_afp32", "fp32"): _IN_STEPS,
    ("coreml", "fp32", "fp32"): LayerTolerance(carried=5e-5, alone=1e-5, measured=(4.2e-6, 6.5e-7)),
    ("coreml", "fp16", "fp16"): LayerTolerance(carried=5e-2, alone=1e-2, measured=(1.2e-2, 2.1e-3)),
    ("coreml", "static_wi8_ai8", "int8"): _IN_STEPS,
    ("coreml", "static_wi8_ai8_fp16", INT8_AND_HALF): _IN_STEPS_AND_HALF,
    ("coreml", "weight_only_wi8_afp32", "fp32"): _IN_STEPS,
    ("coreml", "weight_only_wi8_afp16", "fp16"): _IN_STEPS_AND_HALF,
    ("tflite", "fp32", "fp32"): LayerTolerance(carried=5e-5, alone=1e-5, measured=(4.1e-6, 1.7e-6)),
    ("tflite", "fp16", "fp32"): LayerTolerance(carried=5e-5, alone=1e-5, measured=(4.1e-6, 1.7e-6)),
    ("tflite", "fp16_weights", "fp32"): LayerTolerance(carried=3e-2, alone=3e-3, measured=(6.7e-3, 4.9e-4)),
    ("tflite", "static_wi8_ai8", "int8"): _IN_STEPS,
    ("tflite", "static_wi8_ai8_fp16", "int8"): _IN_STEPS,
    ("tflite", "static_wi8_ai16", "int8"): _IN_STEPS,
    ("tflite", "mixed_wi8_ai8", "int8"): _IN_STEPS,
    ("tflite", "mixed_wi8_ai8_fp16", "int8"): _IN_STEPS,
    ("tflite", "dynamic_wi8_afp32", "int8"): _IN_STEPS,
    ("tflite", "weight_only_wi8_afp32", "fp32"): _IN_STEPS,
}
SAME_NETWORK = 1e-5
"""The largest error of a rebuilt network's outputs against the golden file; measured: 0 to 5e-7."""

MEANT_ARITHMETIC = {
    "fp32": "fp32",
    "fp16": "fp16",
    "fp16_weights": "fp16",
    "static_wi8_ai8": "int8",
    "static_wi8_ai8_fp16": INT8_AND_HALF,
    "static_wi8_ai16": "int8",
    "mixed_wi8_ai8": "int8",
    "mixed_wi8_ai8_fp16": INT8_AND_HALF,
    "dynamic_wi8_afp32": "int8",
    "weight_only_wi8_afp32": "fp32",
    "weight_only_wi8_afp16": "fp16",
    "weight_only_wp6_afp16": "fp16",
}
"""The arithmetic that files of each recipe are made for."""


@dataclass(frozen=True, kw_only=True)
class OwnRounding:
    """The error that a right file may have if its network amplifies rounding errors (decision 8)."""

    multiple: float
    """How many times larger a file's error may be than the error of torch's own float32 output."""
    measured: float
    """The largest such multiple of a right file whose error is near or over its tolerance: timm's
    mobilenetv4_hybrid_medium at 256 pixels, with 6.0e-5 in TFLite and 2.5e-5 in torch.
    """
    uncertain: float
    """If torch's own error is larger than this, relative to the output's range, no file can be judged.
    `multiple` times it is the loosest tolerance of an fp16 file.
    """


OWN_ROUNDING = OwnRounding(multiple=4.0, measured=2.4, uncertain=2.5e-3)
ONE_ROUNDING = 2.0**-24
"""The relative error of rounding one number to float32. Torch's own error divided by it is a network's
gain."""

LIVELINESS = 10.0
"""An output must vary with the input by this many times the tolerance; else a comparison proves nothing."""
