"""What a quantized ONNX file rounds: values between QuantizeLinear and DequantizeLinear, and weights.

x - Q - DQ - Conv(DQ(W8)) - c - Q - DQ - Relu      x and c are rounded for whatever reads them
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mocovit_deploy.artifacts.marks import Levels, RoundedRead, integer_levels
from mocovit_deploy.extras import needs_extra

WEIGHTS = 1
"""The place of the weights among the inputs of Conv, Gemm and MatMul."""
FOLLOWS = ("Add", "Reshape", "Transpose")
"""Operators that end a layer of which the file has several: its bias, and the shape of its result."""


@dataclass(frozen=True)
class Pair:
    """A QuantizeLinear and the DequantizeLinear behind it."""

    quantize: Any
    widen: Any
    levels: Levels

    @property
    def real(self) -> str:
        """The name of the rounded value."""
        return str(self.widen.output[0])


def pairs_of(model: Any) -> dict[str, Pair]:
    """By the name of a value, the pair that rounds it for its readers; those of one constant scale alone."""
    arrays = needs_extra("onnx.numpy_helper", "onnx")
    constants = {one.name: arrays.to_array(one) for one in model.graph.initializer}
    widening = {node.input[0]: node for node in model.graph.node if node.op_type == "DequantizeLinear"}
    found = {}
    for node in model.graph.node:
        if node.op_type != "QuantizeLinear" or node.output[0] not in widening:
            continue
        scale, zero = (constants.get(name) for name in (*node.input[1:3], "", "")[:2])
        if scale is None or zero is None or scale.size != 1 or zero.dtype.kind not in "iu":
            continue
        limits = np.iinfo(zero.dtype)
        levels = integer_levels(float(scale.item()), int(zero.item()), (limits.min, limits.max))
        found[node.input[0]] = Pair(node, widening[node.output[0]], levels)
    return found


def rounded_inputs(model: Any, node: Any, pairs: Mapping[str, Pair]) -> tuple[RoundedRead, ...]:
    """The inputs of the file that a node reads rounded."""
    known = {pairs[one.name].real: one.name for one in model.graph.input if one.name in pairs}
    return tuple(RoundedRead((known[one],), pairs[known[one]].levels) for one in node.input if one in known)


def weights_in_whole_numbers(model: Any) -> set[str]:
    """The results of nodes whose weights are stored in whole numbers, also after a bias and a move."""
    stored = {one.name for one in model.graph.initializer}
    widened = {
        node.output[0]
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in stored
    }
    found: set[str] = set()
    for node in model.graph.node:
        is_layer = len(node.input) > WEIGHTS and node.input[WEIGHTS] in widened
        passes_on = node.op_type in FOLLOWS and all(one in found | stored for one in node.input)
        if is_layer or passes_on:
            found |= set(node.output)
    return found
