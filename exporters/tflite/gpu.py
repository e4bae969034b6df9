"""Rules that keep an operator off the GPU delegate, each with its source.

The delegate's own check cannot be called. The analyzer in ai-edge-litert 2.3.0 prints "looks compatible" for
every file, because it no longer runs the check (its model_analyzer.cc fills no list of nodes any more). So
this list repeats the conditions of the check that files of this project can break, and adds operators that
pass it but were rejected on phones. A file that breaks no rule may still not run on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exporters.tflite.reference.program import Program, Step, Tensor

CHECK = "LiteRT, tflite/tools/versioning/gpu_compatibility.cc, August 2026"
_REDUCTIONS = ("MEAN", "SUM", "REDUCE_ALL", "REDUCE_ANY", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD")
_PADS = ("PAD", "PADV2", "MIRROR_PAD")
_SIGN_BIT = 5
_REFLECT = 0

_TWO_INPUTS = (
    *("ATAN2", "DIV", "EQUAL", "FLOOR_DIV", "FLOOR_MOD", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL"),
    *("MAXIMUM", "MINIMUM", "NOT_EQUAL", "POW", "SQUARED_DIFFERENCE", "SUB"),
)
"""Elementwise operators. ADD and MUL are left out: the delegate takes them in more forms."""

KNOWN = frozenset(
    (
        *("ABS", "ADD", "ADD_N", "AVERAGE_POOL_2D", "BATCH_MATMUL", "BITCAST", "CAST", "CEIL"),
        *("CONCATENATION", "CONV_2D", "COS", "CUMSUM", "DENSIFY", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE"),
        *("DEQUANTIZE", "DYNAMIC_UPDATE_SLICE", "ELU", "EMBEDDING_LOOKUP", "EXP", "FLOOR"),
        *("FULLY_CONNECTED", "GATHER", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOG", "LOGICAL_AND"),
        *("LOGICAL_NOT", "LOGICAL_OR", "LOGISTIC", "LSTM", "MAX_POOL_2D", "MUL", "NEG", "ONE_HOT", "PACK"),
        *("PRELU", "QUANTIZE", "RELU", "RELU6", "RELU_N1_TO_1", "RESHAPE", "RESIZE_BILINEAR"),
        *("RESIZE_NEAREST_NEIGHBOR", "REVERSE_V2", "RIGHT_SHIFT", "ROUND", "RSQRT", "SELECT", "SELECT_V2"),
        *("SIGN", "SIN", "SLICE", "SOFTMAX", "SPACE_TO_DEPTH", "SPLIT", "SPLIT_V", "SQRT", "SQUARE"),
        *("STRIDED_SLICE", "TANH", "TILE", "TOPK_V2", "TRANSPOSE", "TRANSPOSE_CONV"),
        *(*_TWO_INPUTS, *_REDUCTIONS, *_PADS),
    )
)
"""Kinds that the delegate's check has a branch for. Source: `CHECK`."""


@dataclass(frozen=True)
class Rule:
    """A condition that no operator may meet."""

    kinds: tuple[str, ...]
    """The kinds of operators that it applies to; empty for all."""
    broken: Callable[[Step, Sequence[Tensor], Sequence[Tensor]], bool]
    """Takes (operator, its inputs without absent ones, its outputs); true if they break the rule."""
    why: str
    """"KIND" stands for the operator's kind."""
    source: str


def _axes_vary(_step: Step, inputs: Sequence[Tensor], _outputs: Sequence[Tensor]) -> bool:
    return len(inputs) < 2 or inputs[1].constant is None or inputs[1].dtype != "int32"


def _cut_strangely(step: Step, _inputs: Sequence[Tensor], _outputs: Sequence[Tensor]) -> bool:
    masks = ("ellipsisMask", "newAxisMask", "shrinkAxisMask")
    return any(getattr(step.options, mask, 0) for mask in masks)


RULES = (
    Rule((), lambda step, _i, _o: step.kind not in KNOWN, "the delegate has no KIND", CHECK),
    Rule(
        ("SELECT", "SELECT_V2"),
        lambda _step, _i, _o: True,
        "KIND was rejected on phones",
        "google-ai-edge/litert-samples, skills/gpu-clean-conversion; litert-torch pull request 1090",
    ),
    Rule(
        ("SPLIT", "SPLIT_V"),
        lambda _step, _i, _o: True,
        "older GPU delegates reject KIND",
        'google-ai-edge/LiteRT, issue 66: "SPLIT: Operation is not supported"',
    ),
    Rule(
        (),
        lambda _step, inputs, outputs: any(one.dtype == "int64" for one in (*inputs, *outputs)),
        "it has an int64 tensor",
        "google-ai-edge/LiteRT, issue 5307: CAST to INT64 rejected",
    ),
    Rule(
        (),
        lambda _step, inputs, outputs: any(len(one.shape) > 4 for one in (*inputs, *outputs)),
        "it has a tensor of more than 4 dimensions",
        "google-ai-edge/litert-samples, skills/gpu-clean-conversion; litert-torch pull request 1090",
    ),
    Rule(
        _TWO_INPUTS,
        lambda step, _i, _o: step.inputs[0] == step.inputs[1],
        "both inputs are the same tensor",
        "LiteRT, ml_drift_delegate/tflite/model_builder.cc; issue 9192 of google-ai-edge/LiteRT",
    ),
    Rule(
        ("SLICE", "STRIDED_SLICE"),
        lambda _step, inputs, _o: len(inputs[0].shape) not in (3, 4),
        "it cuts a tensor of other than 3 or 4 dimensions",
        CHECK,
    ),
    Rule(("STRIDED_SLICE",), _cut_strangely, "it adds or drops a dimension", CHECK),
    Rule(
        _PADS,
        lambda _step, inputs, _o: inputs[1].shape not in ((3, 2), (4, 2)),
        "it pads a tensor of other than 3 or 4 dimensions",
        CHECK,
    ),
    Rule(
        ("MIRROR_PAD",),
        lambda step, _i, _o: step.options.mode != _REFLECT,
        "it repeats the border; only reflection is known",
        CHECK,
    ),
    Rule(
        ("GATHER",),
        lambda _step, inputs, _o: len(inputs[1].shape) != 1 or inputs[1].dtype != "int32",
        "its indices are not one row of int32",
        CHECK,
    ),
    Rule((*_REDUCTIONS, "REVERSE_V2"), _axes_vary, "its axes are not constant int32", CHECK),
    Rule(
        _REDUCTIONS,
        lambda _step, inputs, _o: inputs[0].constant is not None,
        "it reduces a constant",
        'google-ai-edge/LiteRT, issue 9192: "Expected 1 const input tensor(s), but node has 2"',
    ),
    Rule(
        ("SOFTMAX",),
        lambda step, _i, _o: step.options.beta != 1.0,
        "it scales before the softmax",
        CHECK,
    ),
    Rule(
        ("RESIZE_BILINEAR",),
        lambda step, _i, _o: bool(step.options.alignCorners and step.options.halfPixelCenters),
        "it aligns corners and takes half pixels too",
        CHECK,
    ),
    Rule(
        ("DEPTH_TO_SPACE", "SPACE_TO_DEPTH"),
        lambda step, _i, _o: step.options.blockSize < 2,
        "its blocks are single pixels",
        CHECK,
    ),
    Rule(
        ("DEPTHWISE_CONV_2D",),
        lambda _step, inputs, _o: len(inputs[0].shape) != 4,
        "its input has other than 4 dimensions",
        CHECK,
    ),
    Rule(
        (),
        lambda step, _i, _o: getattr(step.options, "fusedActivationFunction", 0) == _SIGN_BIT,
        "the sign is fused into it",
        CHECK,
    ),
)


def broken_rule(program: Program, step: Step) -> Rule | None:
    """The first rule that an operator breaks, or None."""
    inputs = [program.tensors[index] for index in step.inputs if index >= 0]
    outputs = [program.tensors[index] for index in step.outputs]
    return next(
        (
            rule
            for rule in RULES
            if (not rule.kinds or step.kind in rule.kinds) and rule.broken(step, inputs, outputs)
        ),
        None,
    )
