"""From the scheme of a graph to the grids of a file's tensors.

A tensor bears the marks of the operation whose value it is (artifacts/marks.py). If several tensors bear the
marks of one operation, the last one is its value. The others are intermediate, and the scheme has no grid for
them. They get a grid only where it follows from their operator:

    PAD RESHAPE TRANSPOSE SLICE ...   the grid of their input, or that of their reader
    LOGISTIC TANH                     the grid that TFLite fixes
    RELU6 inside an operator          0 to 6

A tensor without a grid is not quantized.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from exporters.tflite.quantized.support import (
    FIXED,
    FIXED_GRIDS,
    INPUT,
    WIDE_FIXED_GRIDS,
    int8_support,
)
from exporters.tflite.quantized.tables import Operator, Tables
from mocovit_deploy.artifacts.marks import marks_in, split_mark
from mocovit_deploy.quantization.grid import Grid, activation_grid
from mocovit_deploy.quantization.scheme import Scheme


def tensor_grids(tables: Tables, scheme: Scheme, inputs: Sequence[str]) -> dict[int, Grid]:
    """The grids of tensors, by index; `inputs` are the graph's names for the inputs of the file, in order."""
    grids: dict[int, Grid] = {}
    for tensor, name in zip(map(int, tables.graph.inputs), inputs, strict=True):
        if name in scheme.values:
            grids[tensor] = scheme.values[name]
    for operation, tensor in values_of(tables).items():
        if operation in scheme.values:
            grids[tensor] = scheme.values[operation]
    support = int8_support()
    for operator in tables.operators:
        known = support.get(operator.kind)
        if known is not None and known.grid == FIXED:
            grids[operator.result] = FIXED_GRIDS[operator.kind]
        elif known is not None and known.grid == INPUT:
            _hand_on(tables, operator, grids)
        elif operator.activation == tables.schema.ActivationFunctionType.RELU6:
            grids.setdefault(operator.result, activation_grid((0.0, 6.0)))
    for operator in reversed(tables.operators):
        known = support.get(operator.kind)
        if known is not None and known.grid == INPUT and operator.result in grids:
            for tensor in tables.computed(operator):
                grids.setdefault(tensor, grids[operator.result])
    _widen_summands(tables, grids)
    return grids


def wide_grids(tables: Tables, grids: Mapping[int, Grid]) -> dict[int, Grid]:
    """The int16 grids for the same ranges, symmetric about 0.

    An int8 grid may end half a step before its range does, because 0 is one of its numbers. So each range is
    widened by half a step on both sides.
    """
    fixed = {
        one.result: WIDE_FIXED_GRIDS[one.kind] for one in tables.operators if one.kind in WIDE_FIXED_GRIDS
    }
    wide = {}
    for tensor, grid in grids.items():
        (low, high), half = grid.bounds, grid.scale[0] / 2
        wide[tensor] = activation_grid((low - half, high + half), "int16")
    return wide | fixed


def _widen_summands(tables: Tables, grids: dict[int, Grid]) -> None:
    """Make the grid of a summand as coarse as XNNPACK requires beside the grid of the sum.

    The loss is far below a step of the sum.
    """
    for operator in tables.operators:
        known = int8_support().get(operator.kind)
        if operator.kind not in ("ADD", "SUB") or known is None or known.ratio is None:
            continue
        if operator.result not in grids:
            continue
        least = float(np.float32(grids[operator.result].scale[0] * known.ratio[0] * 1.01))
        for tensor in tables.computed(operator):
            if tensor in grids and grids[tensor].scale[0] < least:
                grids[tensor] = replace(grids[tensor], scale=(least,))


def values_of(tables: Tables) -> dict[str, int]:
    """The tensor of the value of each operation, by the name of the operation in the graph."""
    found: dict[str, int] = {}
    for tensor in tables.activations():
        marks = marks_in(tables.name(tensor))
        if marks:
            found[split_mark(marks[0])[1]] = tensor
    return found


def _hand_on(tables: Tables, operator: Operator, grids: dict[int, Grid]) -> None:
    """Give the result of an operator that moves data the grid of its input, unless CONCATENATION has one."""
    sources = [grids[one] for one in tables.computed(operator) if one in grids]
    if not sources:
        return
    for tensor in operator.outputs:
        if operator.kind == "CONCATENATION":
            grids.setdefault(tensor, sources[0])
        else:
            grids[tensor] = sources[0]
