"""A TFLite file, cut open."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from exporters.tflite.flatbuffer import model_bytes, read_model
from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.artifacts.marks import marks_in, split_mark
from mocovit_deploy.quantization.grid import Grid, weight_grid
from planting.surgery import Constant, Layer, contiguous

KINDS = {
    schema.BuiltinOperator.CONV_2D: (0, 3, 1, 2),
    schema.BuiltinOperator.DEPTHWISE_CONV_2D: (3, 0, 1, 2),
    schema.BuiltinOperator.FULLY_CONNECTED: (0, 1),
}
"""Operators with weights, and the axes of theirs in PyTorch's order."""
FLOATS = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.FLOAT16: np.float16}


class TfliteSurgeon:
    def __init__(self, path: Path) -> None:
        self.model = read_model(path.read_bytes())
        self.graph = self.model.subgraphs[0]
        codes = self.model.operatorCodes
        self.kinds = [max(c.builtinCode, c.deprecatedBuiltinCode) for c in codes]

    def layers(self) -> list[Layer]:
        found = []
        for operator in self.graph.operators:
            axes = KINDS.get(self.kinds[operator.opcodeIndex])
            if axes is None or (weight := self._constant(operator.inputs[1])) is None:
                continue
            bias = self._constant(operator.inputs[2]) if len(operator.inputs) > 2 else None
            marks = self._marks(operator)
            # An operator with a ReLU inside bears the ReLU's mark first, and its own last.
            own = next((mark for mark in reversed(marks) if "conv" in mark or "linear" in mark), None)
            mark = own or (marks[0] if marks else "")
            found.append(Layer(mark, contiguous(weight.transpose(axes)), bias, (operator, axes)))
        return found

    def put_back(self, layer: Layer) -> None:
        operator, axes = layer.handle
        weight = layer.weight.transpose(np.argsort(axes))
        for position, array in ((1, weight), (2, layer.bias)):
            if array is not None:
                self.store(Constant(layer.mark, array, (operator, position)))

    def constants(self) -> list[Constant]:
        found = []
        for operator in self.graph.operators:
            marks = self._marks(operator)
            for position, index in enumerate(operator.inputs if marks else ()):
                array = self._constant(index) if index >= 0 else None
                if array is not None and array.size:
                    found.append(Constant(marks[-1], array, (operator, position)))
        return found

    def store(self, constant: Constant) -> None:
        operator, position = constant.handle
        operator.inputs = np.array(operator.inputs)  # what was read is read-only
        operator.inputs[position] = self._store(operator.inputs[position], constant.array)

    def relus(self) -> list[str]:
        return [mark for operator in self.graph.operators if (mark := self._relu(operator))]

    def without_relu(self, mark: str) -> None:
        (operator,) = (one for one in self.graph.operators if self._relu(one) == mark)
        operator.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.NONE

    def swap_outputs(self, first: str, second: str) -> None:
        names = {first.encode(): second.encode(), second.encode(): first.encode()}
        for entry in self.model.signatureDefs[0].outputs:
            entry.name = names.get(bytes(entry.name), entry.name)

    def save(self, path: Path) -> None:
        path.write_bytes(model_bytes(self.model))

    def _marks(self, operator: Any) -> tuple[str, ...]:
        return marks_in(self.graph.tensors[operator.outputs[0]].name.decode())

    def _relu(self, operator: Any) -> str:
        """The mark of the ReLU in an operator, or nothing."""
        function = getattr(operator.builtinOptions, "fusedActivationFunction", None)
        marks = self._marks(operator)
        named = bool(marks) and split_mark(marks[0])[1].startswith("relu")
        return marks[0] if named and function == schema.ActivationFunctionType.RELU else ""

    def _constant(self, index: int) -> Array | None:
        """The numbers of a constant tensor, also of one that is widened before it is used."""
        for operator in self.graph.operators:
            kind = self.kinds[operator.opcodeIndex]
            if kind == schema.BuiltinOperator.DEQUANTIZE and operator.outputs[0] == index:
                return self._constant(operator.inputs[0])
        tensor = self.graph.tensors[index]
        data = self.model.buffers[tensor.buffer].data
        if data is None:
            return None
        if (grid := _grid(tensor)) is not None:
            return grid.real(np.frombuffer(bytes(data), np.int8).reshape(tensor.shape))
        if tensor.type not in FLOATS:
            return None
        return np.frombuffer(bytes(data), FLOATS[tensor.type]).reshape(tensor.shape).copy()

    def _store(self, index: int, array: Array) -> int:
        """A tensor like `index` of its own, with other numbers; int8 ones with scales that fit them."""
        tensor = copy.copy(self.graph.tensors[index])
        buffer = schema.BufferT()
        if (grid := _grid(tensor)) is not None:
            grid = weight_grid(array, grid.axis)
            tensor.quantization = copy.copy(tensor.quantization)
            tensor.quantization.scale = np.array(grid.scale, np.float32)
            stored = grid.rounded(array)
        else:
            stored = contiguous(array).astype(FLOATS[tensor.type])
        buffer.data = np.frombuffer(contiguous(stored).tobytes(), np.uint8)
        tensor.buffer = len(self.model.buffers)
        self.model.buffers.append(buffer)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1


def _grid(tensor: Any) -> Grid | None:
    """The grid of int8 weights with a scale for each channel."""
    parameters = tensor.quantization
    if tensor.type != schema.TensorType.INT8 or parameters is None or parameters.scale is None:
        return None
    scales = tuple(map(float, parameters.scale))
    return Grid(scales, (0,) * len(scales), "int8", int(parameters.quantizedDimension))
