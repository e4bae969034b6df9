"""From the scheme of a graph to the grids of a file's tensors.

A tensor bears the marks of the operation that it is the value of (artifacts/marks.py). Of several tensors
with the marks of one operation the last made is its value; those before it are steps on the way, which the
scheme does not know. They get a grid only where it follows from their operator:

    PAD RESHAPE TRANSPOSE SLICE ...   the grid of what they read, or of what reads them
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
    """The grid of every tensor that has one; `inputs` are the graph's names for the inputs of the file."""
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
    """The int16 grids of the same ranges: as far below 0 as above, zero point 0.

    An int8 grid may end half a step before its range does, because 0 is one of its numbers; these do not.
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
    """Make a summand's grid as coarse as XNNPACK wants it beside the sum's: what is lost is far below a
    step.
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
    """The tensor that is the value of each operation of the graph."""
    found: dict[str, int] = {}
    for tensor in tables.activations():
        marks = marks_in(tables.name(tensor))
        if marks:
            found[split_mark(marks[0])[1]] = tensor
    return found


def _hand_on(tables: Tables, operator: Operator, grids: dict[int, Grid]) -> None:
    """The result of an operator that moves data has the grid of its input; a concatenation keeps its own."""
    sources = [grids[one] for one in tables.computed(operator) if one in grids]
    if not sources:
        return
    for tensor in operator.outputs:
        if operator.kind == "CONCATENATION":
            grids.setdefault(tensor, sources[0])
        else:
            grids[tensor] = sources[0]
