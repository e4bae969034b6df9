"""An ONNX file, cut open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from exporters.onnx.metadata import MODULE_KEY, OPERATION_KEY
from mocovit_deploy.artifacts.marks import mark
from planting.surgery import Constant, Layer, contiguous


class OnnxSurgeon:
    def __init__(self, path: Path) -> None:
        self.model = onnx.load(str(path))
        self.stored = {one.name: one for one in self.model.graph.initializer}
        self.stored |= {one.name: one for one in map(self._widened, self.model.graph.node) if one}

    def _widened(self, node: onnx.NodeProto) -> onnx.TensorProto | None:
        """What a DequantizeLinear makes of a constant, under the name of its result."""
        if node.op_type != "DequantizeLinear" or node.input[0] not in self.stored:
            return None
        stored, scale = (numpy_helper.to_array(self.stored[name]) for name in node.input[:2])
        axis = next((one.i for one in node.attribute if one.name == "axis"), 1)
        shape = [-1 if place == axis else 1 for place in range(stored.ndim)]
        real = stored.astype(np.float32) * scale.reshape(shape)
        return numpy_helper.from_array(real, node.output[0])

    def layers(self) -> list[Layer]:
        found = []
        for node in self.model.graph.node:
            if node.op_type not in ("Conv", "Gemm", "MatMul") or node.input[1] not in self.stored:
                continue
            weight = numpy_helper.to_array(self.stored[node.input[1]])
            transposed = any(one.name == "transB" and one.i for one in node.attribute)
            if node.op_type != "Conv" and not transposed:
                weight = weight.T
            has_bias = len(node.input) > 2 and node.input[2] in self.stored
            bias = numpy_helper.to_array(self.stored[node.input[2]]) if has_bias else None
            found.append(Layer(_mark(node), contiguous(weight), bias, (node, transposed)))
        return found

    def put_back(self, layer: Layer) -> None:
        node, transposed = layer.handle
        weight = layer.weight if node.op_type == "Conv" or transposed else layer.weight.T
        for position, array in ((1, weight), (2, layer.bias)):
            if array is not None:
                self.store(Constant(layer.mark, array, (node, position)))

    def constants(self) -> list[Constant]:
        found = []
        for node in self.model.graph.node:
            for position, name in enumerate(node.input):
                array = numpy_helper.to_array(self.stored[name]) if name in self.stored else None
                if array is not None and array.dtype.kind == "f" and array.size and _mark(node):
                    found.append(Constant(_mark(node), array, (node, position)))
        return found

    def store(self, constant: Constant) -> None:
        node, position = constant.handle
        old = self.stored[node.input[position]]
        kind = numpy_helper.to_array(old).dtype
        fresh = numpy_helper.from_array(contiguous(constant.array).astype(kind), f"{old.name}.planted")
        self.model.graph.initializer.append(fresh)
        node.input[position] = fresh.name

    def relus(self) -> list[str]:
        return [_mark(node) for node in self.model.graph.node if node.op_type == "Relu"]

    def without_relu(self, mark: str) -> None:
        (node,) = (n for n in self.model.graph.node if n.op_type == "Relu" and _mark(n) == mark)
        node.op_type = "Identity"

    def swap_outputs(self, first: str, second: str) -> None:
        names = {first: second, second: first}
        for node in self.model.graph.node:
            for place, name in enumerate(node.output):
                node.output[place] = names.get(name, name)

    def save(self, path: Path) -> None:
        path.write_bytes(self.model.SerializeToString())


def _mark(node: onnx.NodeProto) -> str:
    keys = {entry.key: entry.value for entry in node.metadata_props}
    return mark(keys.get(MODULE_KEY, ""), keys[OPERATION_KEY]) if OPERATION_KEY in keys else ""
