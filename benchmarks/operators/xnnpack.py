"""XNNPACK's operators: the operators of a file that they come from, and the kinds that it leaves out."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mocovit_deploy.artifacts.operator import FileOperator

_COMES_FROM = {
    "Abs": ("ABS",),
    "Add": ("ADD",),
    "ApproxGELU": ("GELU",),
    "Average Pooling": ("AVERAGE_POOL_2D",),
    "Batch Matrix Multiply": ("BATCH_MATMUL",),
    "Ceiling": ("CEIL",),
    "Clamp": ("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1"),
    "Constant Pad": ("PAD", "PADV2"),
    "Convert": ("QUANTIZE", "DEQUANTIZE", "CAST"),
    "Convolution": ("CONV_2D", "DEPTHWISE_CONV_2D"),
    "Copy": ("RESHAPE", "EXPAND_DIMS", "SQUEEZE", "CONCATENATION", "PACK"),
    "Deconvolution": ("TRANSPOSE_CONV",),
    "Depth To Space": ("DEPTH_TO_SPACE",),
    "Divide": ("DIV",),
    "Dynamic Fully Connected": ("FULLY_CONNECTED", "BATCH_MATMUL"),
    "ELU": ("ELU",),
    "Exp": ("EXP",),
    "Floor": ("FLOOR",),
    "Fully Connected": ("FULLY_CONNECTED", "CONV_2D"),
    "GELU": ("GELU",),
    "HardSwish": ("HARD_SWISH",),
    "Invalid Unary Op": (
        "LOGISTIC",
        "HARD_SWISH",
    ),  # a look-up: of a SiLU, or between DEQUANTIZE and QUANTIZE
    "LeakyReLU": ("LEAKY_RELU",),
    "Log": ("LOG",),
    "Max Pooling": ("MAX_POOL_2D",),
    "Maximum": ("MAXIMUM",),
    "Mean": ("MEAN",),
    "Minimum": ("MINIMUM",),
    "Multiply": ("MUL",),
    "Negate": ("NEG",),
    "PReLU": ("PRELU",),
    "Power": ("POW",),
    "Reciprocal Square Root": ("RSQRT",),
    "Reduce Max": ("REDUCE_MAX",),
    "Reduce Min": ("REDUCE_MIN",),
    "Resize Bilinear": ("RESIZE_BILINEAR",),
    "Sigmoid": ("LOGISTIC",),
    "Slice": ("SLICE", "STRIDED_SLICE", "SPLIT"),
    "Softmax": ("SOFTMAX",),
    "Space To Depth": ("SPACE_TO_DEPTH",),
    "Square": ("SQUARE",),
    "Square Root": ("SQRT",),
    "Squared Difference": ("SQUARED_DIFFERENCE",),
    "Subtract": ("SUB",),
    "Sum": ("SUM",),
    "TanH": ("TANH",),
    "Tanh": ("TANH",),
    "Transpose": ("TRANSPOSE",),
}
"""By XNNPACK's name for an operator (the part before the bracket): the TFLite kinds that it is made from."""

_NO_INT8 = (
    "ABS",
    "AVERAGE_POOL_2D",
    "DIV",
    "EXP",
    "GELU",
    "HARD_SWISH",
    "MAXIMUM",
    "MINIMUM",
    "NEG",
    "PADV2",
    "PRELU",
    "RELU",
    "RELU6",
    "RELU_0_TO_1",
    "RELU_N1_TO_1",
    "RESIZE_NEAREST_NEIGHBOR",
    "RSQRT",
    "SOFTMAX",
    "SQRT",
    "SQUARE",
    "SQUARED_DIFFERENCE",
)
"""Kinds that stay outside XNNPACK in int8, each found by running it alone in LiteRT 2.3.0."""

_ARITHMETIC = (
    ("fp16", ("F16", "PF16", "float16")),
    ("int8", ("QS8", "QC8", "QU8", "QD8", "QDU8", "QP8", "PQS8", "int8", "uint8")),
    ("fp32", ("F32", "PF32", "float", "float32")),
)
_MULTIPLIES = (
    "Convolution",
    "Fully Connected",
    "Batch Matrix Multiply",  # XNNPACK's names
    "CONV_2D",
    "FULLY_CONNECTED",
    "DEPTHWISE_CONV_2D",
    "BATCH_MATMUL",  # TFLite's
    "Conv",
    "FusedConv",
    "NhwcFusedConv",
    "Gemm",
    "MatMul",
    "FusedMatMul",  # ONNX Runtime's
    "QLinearConv",
    "QLinearMatMul",
    "QGemm",
)


def match(delegated: Sequence[str], operators: Sequence[FileOperator]) -> list[FileOperator | None]:
    """For each of XNNPACK's operators the file's operator that it was made from, or None if none fits.

    Both are in the same order, so this is the longest common subsequence under "may come from". Operators
    that XNNPACK added, or fused into others, have no partner.
    """
    rows, columns = len(delegated), len(operators)
    longest = [[0] * (columns + 1) for _ in range(rows + 1)]
    for row in reversed(range(rows)):
        for column in reversed(range(columns)):
            fits = _may_come_from(delegated[row], operators[column].kind)
            longest[row][column] = max(
                longest[row + 1][column + 1] + fits, longest[row + 1][column], longest[row][column + 1]
            )
    found: list[FileOperator | None] = [None] * rows
    row = column = 0
    while row < rows and column < columns:
        fits = _may_come_from(delegated[row], operators[column].kind)
        if fits and longest[row][column] == longest[row + 1][column + 1] + 1:
            found[row] = operators[column]
            row, column = row + 1, column + 1
        elif longest[row + 1][column] >= longest[row][column + 1]:
            row += 1
        else:
            column += 1
    return found


def _may_come_from(name: str, kind: str) -> bool:
    base = name.partition(" (")[0]
    if base == "Convolution":
        return kind == ("DEPTHWISE_CONV_2D" if name.endswith("DWConv") else "CONV_2D")
    return kind in _COMES_FROM.get(base, ())


NOT_TOLD = "the runtime does not say why"


def why_outside(kind: str, dtype: str, *, half_weights: bool) -> str:
    """The reason why XNNPACK left an operator of this kind to the runtime; `NOT_TOLD` if it is not known."""
    if kind.startswith("CUSTOM"):
        return "a custom operator"
    if kind == "CAST":
        return "XNNPACK's delegate takes no CAST"
    if half_weights:
        return "this runtime's XNNPACK takes no weights in half precision; LiteRT 2 does"
    if dtype == "int8" and kind in _NO_INT8:
        return f"XNNPACK has no int8 kernel for {kind}"
    if dtype in ("int64", "int32", "bool"):
        return f"XNNPACK's delegate takes no {dtype} tensors"
    if kind not in {taken for kinds in _COMES_FROM.values() for taken in kinds}:
        return f"XNNPACK has no kernel for {kind}"
    return NOT_TOLD


def arithmetic_in(name: str, dtype: str) -> str:
    """The arithmetic of a multiplying operator, from its name, else its input type; empty for any other."""
    return _type_in(name, dtype) if name.partition(" (")[0] in _MULTIPLIES else ""


def computes_in_half(name: str, dtype: str) -> bool:
    """True if an operator of any kind computes in fp16; false for a conversion, which computes nothing."""
    return name.partition(" (")[0] not in ("Convert", "Cast", "CAST") and _type_in(name, dtype) == "fp16"


def _type_in(name: str, dtype: str) -> str:
    words = set(re.findall(r"\w+", name.partition("(")[2])) | {dtype.removeprefix("tensor")}
    return next((kind for kind, marks in _ARITHMETIC if words & set(marks)), "")
