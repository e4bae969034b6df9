"""Activations in int8: quantize and dequantize in front of the operations that are to run in int8.

    before   x - conv(W) - y
    after    x - quantize - dequantize - conv(W) - y

Core ML computes a convolution, a linear layer, a sum or a pooling in int8 behind such a pair where the
hardware can, and in float elsewhere, with the same numbers. A value that several operations read is rounded
in front of each, to the same grid. A result is rounded only where the next such operation reads it. The grids
come from the scheme.

Source: `linear_quantize_activations` of coremltools.optimize.coreml.experimental, which needs macOS to
observe ranges; MIL operations `quantize` and `dequantize` of iOS 17
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mocovit_deploy.artifacts.marks import split_mark
from mocovit_deploy.quantization.grid import Grid

QUANTIZED: Mapping[str, tuple[str, ...]] = {
    "conv": ("x",),
    "linear": ("x",),
    "add": ("x", "y"),
    "avg_pool": ("x",),
    "max_pool": ("x",),
}
"""The operations that Core ML computes in int8, and their inputs that are activations."""
LEAST_TARGET = "iOS17"
"""The first system with `quantize`. Files here need it, even if the user asked for an older target."""


def int8_activations(
    grids: Mapping[str, Grid], marks: Mapping[str, str], in_half: str, counts: dict[str, int]
) -> Any:
    """A coremltools pass that quantizes activations to int8, and counts operations by kind in `counts`.

    `grids` are by the name of an operation of the graph or of an input. `marks` are by the name of a MIL
    value that an operation of the graph computes. A value in float16 has that name with `in_half` appended.
    """
    from coremltools.converters.mil.mil.passes.graph_pass import AbstractGraphPass

    class Insert(AbstractGraphPass):  # type: ignore[misc]
        def apply(self, prog: Any) -> None:
            _insert(prog.functions["main"], grids, marks, in_half, counts)

    return Insert()


def _insert(
    block: Any, grids: Mapping[str, Grid], marks: Mapping[str, str], in_half: str, counts: dict[str, int]
) -> None:
    for operation in list(block.operations):
        places = QUANTIZED.get(operation.op_type, ())
        values = {place: operation.inputs[place] for place in places}
        found = {place: _grid_of(value, grids, marks, in_half) for place, value in values.items()}
        if not places or any(grid is None for grid in found.values()):
            continue
        for value in dict.fromkeys(values.values()):
            grid = next(found[place] for place, one in values.items() if one is value)
            assert grid is not None
            _round(block, value, grid, operation)
        counts[operation.op_type] = counts.get(operation.op_type, 0) + 1


def _grid_of(value: Any, grids: Mapping[str, Grid], marks: Mapping[str, str], in_half: str) -> Grid | None:
    """The grid of a value; None for a constant, and for a value without a grid in the scheme."""
    while value.op is not None and value.op.op_type == "cast":
        value = value.op.inputs["x"]
    name = value.name.removesuffix(in_half)
    if value.op is None:
        return grids.get(name)
    mark = marks.get(name)
    return None if mark is None else grids.get(split_mark(mark)[1])


def _round(block: Any, value: Any, grid: Grid, reader: Any) -> None:
    """Let `reader` read the value rounded to its grid."""
    from coremltools.converters.mil.mil import Builder, types

    dtype = np.float16 if value.dtype == types.fp16 else np.float32
    scale, zero = dtype(grid.scale[0]), np.int8(grid.zero_point[0])
    with block:
        stored = Builder.quantize(
            input=value, scale=scale, zero_point=zero, output_dtype="int8", before_op=reader
        )
        real = Builder.dequantize(input=stored, scale=scale, zero_point=zero, before_op=reader)
    block.replace_uses_of_var_after_op(anchor_op=real.op, end_op=reader, old_var=value, new_var=real)
