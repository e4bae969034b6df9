"""An fp16 ONNX file executed with numpy in half precision, on any machine.

ONNX Runtime widens fp16 to fp32 on x86-64, but not on ARM cores with fp16 arithmetic: on an emulated
Cortex-A76, ONNX Runtime 1.31.1 did 99.8 % of the multiplications of `mocovit_1_0` in fp16. It casts values to
fp32 and back around operators without a half-precision kernel (MIN, MAX, EXP, DIV, sums and means). Here
every value that the file declares fp16 is rounded to it, and products are summed in fp16, one rounding for
each term, in the order of ONNX Runtime's kernels. The other operations are those of onnx's own reference
evaluator.

On that core ONNX Runtime 1.31.1 computes grouped convolutions in fp16 wrongly, off by the whole range of the
output, unless each group has one channel in and one out. A file with such a convolution is not run here.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from exporters.semantics.correlation import correlate
from exporters.semantics.half import sums
from exporters.semantics.half.arithmetic import Half
from exporters.semantics.half.convolution import convolve
from exporters.semantics.spatial import (
    Pads,
    extent,
    padded,
    places_of_ceil_mode,
    resolve_pads,
    shifts,
    window_places,
)
from mocovit_deploy.artifacts.artifact import Array, Artifact
from mocovit_deploy.errors import ConversionError, ParityError, first_line
from mocovit_deploy.extras import needs_extra
from mocovit_deploy.terminal.table import shortened

RUNTIME = "numpy reference of half precision"

_AUTO = {"NOTSET": "custom", "": "custom", "VALID": "valid", "SAME_UPPER": "same", "SAME_LOWER": "same_lower"}


class HalfReference:
    """onnx's reference evaluator, with sums of products in fp16."""

    arithmetic = "fp16"
    runtime = RUNTIME

    def __init__(self, model: Any) -> None:
        self._model = model
        self.macs = _macs(model)

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs by name.

        Raises `ParityError` for an operator that the evaluator does not know, that fails, or that ONNX
        Runtime computes wrongly.
        """
        if wrong := wrong_on_the_core(self._model):
            raise ParityError(
                "ONNX Runtime 1.31.1 computes grouped convolutions wrongly in fp16 on ARM cores "
                f"(output {shortened(wrong, 1)}); ship fp32"
            )
        reference = needs_extra("onnx.reference", "onnx")
        names = [output.name for output in self._model.graph.output]
        try:
            # Division by zero, overflow and NaN are results here; parity judges them.
            with np.errstate(all="ignore"):
                evaluator = reference.ReferenceEvaluator(self._model, new_ops=list(_operators()))
                found = evaluator.run(names, dict(inputs))
        except MemoryError:
            raise
        # Every operator of the evaluator raises what numpy does.
        except Exception as error:
            kind = type(error).__name__
            raise ParityError(f"{RUNTIME} cannot run the file ({kind}: {first_line(error)})") from error
        return dict(zip(names, map(np.asarray, found), strict=True))


def load_half(artifact: Artifact) -> HalfReference:
    """The file in half precision with numpy. Raises `ConversionError` for a file that onnx cannot read."""
    onnx = needs_extra("onnx", "onnx")
    try:
        return HalfReference(onnx.shape_inference.infer_shapes(onnx.load(str(artifact.path))))
    except Exception as error:
        raise ConversionError(f"{artifact.path}: onnx cannot read it: {first_line(error)}") from error


def wrong_on_the_core(model: Any) -> tuple[str, ...]:
    """The names of outputs of those grouped fp16 convolutions that ONNX Runtime computes wrongly."""
    onnx = needs_extra("onnx", "onnx")
    half = {
        one.name: tuple(one.dims)
        for one in model.graph.initializer
        if one.data_type == onnx.TensorProto.FLOAT16
    }
    found = []
    for node in model.graph.node:
        groups = next((one.i for one in node.attribute if one.name == "group"), 1)
        if node.op_type != "Conv" or groups == 1 or node.input[1] not in half:
            continue
        filters, channels = half[node.input[1]][:2]
        if (filters, channels) != (groups, 1):
            found.append(node.output[0])
    return tuple(found)


@cache
def _operators() -> tuple[type, ...]:
    """Classes that replace the evaluator's, each named after its operator, as the evaluator requires.

    Conv, MatMul and Gemm sum their products as above; HardSigmoid and HardSwish round each step; MaxPool is
    right in ceil mode with a stride of 1, where the evaluator's is not.
    """
    base = needs_extra("onnx.reference.op_run", "onnx").OpRun

    class Conv(base):  # type: ignore[misc,valid-type]
        def _run(self, x: Array, weight: Array, bias: Array | None = None, **how: Any) -> tuple[Array]:
            return (conv(x, weight, bias, **how),)

    class MatMul(base):  # type: ignore[misc,valid-type]
        def _run(self, left: Array, right: Array) -> tuple[Array]:
            return (matmul(left, right),)

    class Gemm(base):  # type: ignore[misc,valid-type]
        def _run(
            self, left: Array, right: Array, bias: Array | None = None, **attributes: Any
        ) -> tuple[Array]:
            return (gemm(left, right, bias, **attributes),)

    class HardSigmoid(base):  # type: ignore[misc,valid-type]
        def _run(self, x: Array, alpha: float | None = None, beta: float | None = None) -> tuple[Array]:
            return (hard_sigmoid(x, 0.2 if alpha is None else alpha, 0.5 if beta is None else beta),)

    class HardSwish(base):  # type: ignore[misc,valid-type]
        def _run(self, x: Array) -> tuple[Array]:
            return (np.asarray(x * hard_sigmoid(x, 1 / 6, 0.5)),)

    class MaxPool(base):  # type: ignore[misc,valid-type]
        def _run(self, x: Array, **how: Any) -> tuple[Array]:
            return (max_pool(x, **how),)

    return (Conv, MatMul, Gemm, HardSigmoid, HardSwish, MaxPool)


def hard_sigmoid(x: Array, alpha: float, beta: float) -> Array:
    """min(max(alpha * x + beta, 0), 1), rounded to the type of x at each step, as is `alpha`."""
    one = x.dtype.type
    return np.asarray(np.clip(one(alpha) * x + one(beta), one(0), one(1)))


def conv(
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    auto_pad: str | None = None,
    dilations: Sequence[int] | None = None,
    group: int | None = None,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Array:
    """x (N, Ci, *in), weight (Co, Ci / group, *kernel) -> (N, Co, *out)."""
    kernel, space = weight.shape[2:], x.shape[2:]
    ones = (1,) * len(kernel)
    steps, spread = tuple(strides or ones), tuple(dilations or ones)
    window = extent(kernel, spread)
    around: Pads = resolve_pads(
        _AUTO[auto_pad or ""], _pairs(pads or (0,) * 2 * len(kernel)), space, window, steps
    )
    out = window_places(space, around, window, steps)
    images = padded(x, around, 0.0)
    if x.dtype == Half:
        return convolve(images, weight, bias, steps, spread, group or 1, out, plain=True)
    y = correlate(images, weight, steps, spread, group or 1, out)
    return y if bias is None else y + bias.reshape(-1, *ones)


def max_pool(
    x: Array,
    *,
    auto_pad: str | None = None,
    ceil_mode: int | None = None,
    dilations: Sequence[int] | None = None,
    kernel_shape: Sequence[int],
    pads: Sequence[int] | None = None,
    storage_order: int | None = None,  # of the indices, which are not returned
    strides: Sequence[int] | None = None,
) -> Array:
    """x (N, C, *in) -> (N, C, *out); padding never wins."""
    ones = (1,) * len(kernel_shape)
    steps, spread = tuple(strides or ones), tuple(dilations or ones)
    window, space = extent(kernel_shape, spread), x.shape[2:]
    around = resolve_pads(_AUTO[auto_pad or ""], _pairs(pads or (0,) * 2 * len(ones)), space, window, steps)
    out = window_places(space, around, window, steps)
    if ceil_mode:
        around, out = places_of_ceil_mode(space, around, window, steps)
    views = shifts(padded(x, around, -np.inf), kernel_shape, steps, spread, out)
    return np.asarray(functools.reduce(np.maximum, (view for _, view in views)))


def _pairs(pads: Sequence[int]) -> list[int]:
    """Pads axis by axis, (before, after); ONNX lists those before all axes first, then those after."""
    half = len(pads) // 2
    return [int(pads[place]) for axis in range(half) for place in (axis, axis + half)]


def matmul(left: Array, right: Array) -> Array:
    """left (*B, M, K) @ right (*B, K, N), or vectors (K,), as in numpy; sums in fp16 for fp16 operands."""
    if left.dtype != Half:
        return np.asarray(left @ right)
    rows = left[None] if left.ndim == 1 else left
    columns = right[:, None] if right.ndim == 1 else right
    y = sums.product(rows, columns, plain=True)
    y = y[..., 0] if right.ndim == 1 else y
    return y[..., 0, :] if left.ndim == 1 and right.ndim > 1 else y[0] if left.ndim == 1 else y


def gemm(
    left: Array,
    right: Array,
    bias: Array | None,
    *,
    alpha: float | None = None,
    beta: float | None = None,
    transA: int | None = None,  # noqa: N803 - ONNX's word
    transB: int | None = None,  # noqa: N803
) -> Array:
    """alpha * left @ right + beta * bias, after transposing left (`transA`) and right (`transB`)."""
    rows, columns = (left.T if transA else left), (right.T if transB else right)
    one = left.dtype.type
    y = np.asarray(matmul(rows, columns) * one(1.0 if alpha is None else alpha))
    return y if bias is None else np.asarray(y + bias * one(1.0 if beta is None else beta))


def _macs(model: Any) -> int:
    """Multiply-accumulates of one run; an unknown dimension counts as 1."""
    graph = model.graph
    shapes = {
        value.name: [size.dim_value or 1 for size in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.value_info, *graph.output)
    }
    shapes |= {one.name: list(one.dims) for one in graph.initializer}
    total = 0
    for node in graph.node:
        if node.op_type in ("Conv", "MatMul", "Gemm"):
            out, right = (shapes.get(name, []) for name in (node.output[0], node.input[1]))
            depth = right[1:] if node.op_type == "Conv" else right[-2:-1]
            total += int(np.prod(out)) * int(np.prod(depth))
    return total
