"""Weights stored in int8, activations in float.

    weight_only   W int8 - DEQUANTIZE - W float - CONV_2D(x, W)   the runtime widens W once, when it loads
    dynamic       CONV_2D(x, W int8)                              x is quantized at run time, for each image

Dynamic covers CONV_2D and FULLY_CONNECTED. XNNPACK has no such kernel for DEPTHWISE_CONV_2D and
TRANSPOSE_CONV, which would split the file into partitions. So their weights are widened as in weight_only.

Source: tflite/delegates/xnnpack/xnnpack_delegate.cc of LiteRT ("dynamically quantized", "static unpack");
versions from tflite/tools/versioning/op_version.cc.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from exporters.tflite.quantized.edit import DEQUANTIZE_CHANNELS, Edit, weights_grid
from exporters.tflite.quantized.support import int8_support
from exporters.tflite.quantized.tables import WEIGHTED, Operator, Tables
from mocovit_deploy.quantization.grid import Grid

DYNAMIC_VERSIONS = {"CONV_2D": 5, "FULLY_CONNECTED": 12}
GROUPED_VERSION = 6
"""The version of a grouped CONV_2D with int8 weights and float activations."""
WEIGHTS = 1
"""The place of the weights among an operator's inputs."""


def with_stored_weights(model: Any, weights: Mapping[str, Grid], *, dynamic: bool) -> Any:
    """The tables (`ModelT`) of a float file with the weights of layers in int8; `model` is not changed.

    `weights` are the scheme's grids, by the name of the parameter. `dynamic` chooses between the two forms.
    """
    return _Storing(copy.deepcopy(model), weights, dynamic=dynamic).written()


class _Storing:
    def __init__(self, model: Any, weights: Mapping[str, Grid], *, dynamic: bool) -> None:
        self.tables, self.weights, self.dynamic = Tables(model), weights, dynamic
        self.edit = Edit(self.tables)
        self.stored: dict[tuple[int, Grid], int] = {}
        self.widened: dict[tuple[int, Grid], int] = {}

    def written(self) -> Any:
        """The model with the chosen weights of all operators stored as integers."""
        for operator in self.tables.operators:
            if self._has_weights(operator):
                self._store(operator)
            self.edit.operators.append(operator.table)
        self.edit.finish()
        return self.tables.model

    def _has_weights(self, operator: Operator) -> bool:
        return (
            operator.kind in WEIGHTED
            and self.tables.is_float(operator.inputs[WEIGHTS])
            and self.tables.is_constant(operator.inputs[WEIGHTS])
        )

    def _store(self, operator: Operator) -> None:
        tensor = operator.inputs[WEIGHTS]
        axis = int8_support()[operator.kind].weights
        assert axis is not None
        grid = weights_grid(self.tables, tensor, axis, self.weights)
        inputs = list(operator.inputs)
        if self.dynamic and operator.kind in DYNAMIC_VERSIONS:
            inputs[WEIGHTS] = self._int8(tensor, grid)
            operator.table.opcodeIndex = self.edit.code(operator, self._version(operator))
            if operator.kind == "FULLY_CONNECTED":
                operator.table.builtinOptions.asymmetricQuantizeInputs = True
        else:
            inputs[WEIGHTS] = self._float(tensor, grid)
        operator.table.inputs = np.array(inputs, np.int32)

    def _version(self, operator: Operator) -> int:
        channels, filters = self.tables.shape(operator.inputs[0])[-1], self.tables.shape(operator.inputs[1])
        grouped = operator.kind == "CONV_2D" and filters[-1] != channels
        return GROUPED_VERSION if grouped else DYNAMIC_VERSIONS[operator.kind]

    def _int8(self, tensor: int, grid: Grid) -> int:
        if (tensor, grid) not in self.stored:
            self.stored[tensor, grid] = self.edit.constant(tensor, self.tables.array(tensor), grid)
        return self.stored[tensor, grid]

    def _float(self, tensor: int, grid: Grid) -> int:
        """The float tensor of stored weights, behind a DEQUANTIZE."""
        if (tensor, grid) not in self.widened:
            stored, graph = self._int8(tensor, grid), self.tables.graph
            made = copy.copy(graph.tensors[tensor])
            made.name, made.buffer = f"{self.tables.name(tensor)};widened".encode(), 0
            graph.tensors.append(made)
            result = len(graph.tensors) - 1
            self.widened[tensor, grid] = self.edit.convert("DEQUANTIZE", stored, result, DEQUANTIZE_CHANNELS)
        return self.widened[tensor, grid]
