"""What a TFLite file rounds: its values, the weights of its operators, and what operators read.

before   c float - RESHAPE - QUANTIZE (step 0.1) - PAD - RESHAPE - CONV_2D with int8 weights - y
found    c has no levels; CONV_2D reads c in steps of 0.1, and its weights are in whole numbers
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exporters.tflite.flatbuffer import codes_of
from mocovit_deploy.artifacts.marks import Levels, RoundedRead, integer_levels, marks_in
from mocovit_deploy.errors import ConversionError
from mocovit_deploy.extras import needs_extra

MOVES = ("RESHAPE", "TRANSPOSE", "EXPAND_DIMS", "SQUEEZE", "PAD", "PADV2", "MIRROR_PAD")
"""Operators that only rearrange a value for the operator that reads it."""
CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")
WEIGHTS = 1
"""The place of the weights among the operands of convolutions and matrix products."""


@dataclass(frozen=True)
class OperatorRounding:
    """What the operators with one mark round."""

    reads: tuple[RoundedRead, ...]
    whole_weights: bool


def levels_of(tensor: Any) -> Levels | None:
    """The range and step of a tensor that is stored as integers with one scale; None for any other."""
    grid = tensor.quantization
    scales = [] if grid is None or grid.scale is None else list(grid.scale)
    types = needs_extra("ai_edge_litert.schema_py_generated", "tflite").TensorType
    limits = {types.INT8: (-128, 127), types.UINT8: (0, 255), types.INT16: (-32768, 32767)}
    if len(scales) != 1 or tensor.type not in limits:
        return None
    return integer_levels(float(scales[0]), int(grid.zeroPoint[0]), limits[tensor.type])


def roundings(model: Any, names: Mapping[int, str]) -> dict[str, OperatorRounding]:
    """By mark, what its operators round. `names` are those of all tensors of the first subgraph.

    Raises `ConversionError` for a file of which a tensor is made of itself.
    """
    graph = model.subgraphs[0]
    moving = codes_of(model, *MOVES, *CONVERSIONS)
    maker = {int(index): operator for operator in graph.operators for index in operator.outputs}
    found: dict[str, OperatorRounding] = {}
    for operator in graph.operators:
        if operator.opcodeIndex in moving:
            continue
        operands = [_Operand(model, maker, moving, int(index)) for index in operator.inputs if index >= 0]
        whole = len(operands) > WEIGHTS and operands[WEIGHTS].is_constant_int8
        # An operator with weights in whole numbers, and without a conversion to them, rounds what it reads.
        dynamic = whole and operands[WEIGHTS].path == 0 and operands[0].is_float
        reads = []
        for operand in operands:
            if operand.is_constant or not (operand.levels or (dynamic and operand is operands[0])):
                continue
            source = names[operand.index]
            marks = (source,) if operand.index in graph.inputs else marks_of(graph.tensors[operand.index])
            reads.append(RoundedRead(marks, operand.levels))
        for mark in {one for index in operator.outputs for one in marks_of(graph.tensors[int(index)])}:
            before = found.get(mark, OperatorRounding((), False))
            merged = tuple(dict.fromkeys((*before.reads, *reads)))
            found[mark] = OperatorRounding(merged, before.whole_weights or whole)
    return found


class _Operand:
    """What an operator reads: a tensor of the file before it is moved and converted."""

    def __init__(self, model: Any, maker: Mapping[int, Any], moving: set[int], index: int) -> None:
        tensors = model.subgraphs[0].tensors
        types = needs_extra("ai_edge_litert.schema_py_generated", "tflite").TensorType
        self.is_float = tensors[index].type == types.FLOAT32
        self.levels: Levels | None = None
        self.path = 0
        seen = {index}
        while (made := maker.get(index)) is not None and made.opcodeIndex in moving:
            self.levels = self.levels or levels_of(tensors[index])
            if int(made.inputs[0]) in seen:
                raise ConversionError(f"tensor {index} is made of itself: the file is damaged")
            seen.add(int(made.inputs[0]))
            index = int(made.inputs[0])
            self.path += 1
        data = model.buffers[tensors[index].buffer].data
        self.index = index
        self.is_constant = data is not None and len(data) > 0
        self.is_constant_int8 = self.is_constant and tensors[index].type == types.INT8


def marks_of(tensor: Any) -> tuple[str, ...]:
    """The marks in the name of a tensor."""
    return marks_in((tensor.name or b"").decode(errors="replace"))
