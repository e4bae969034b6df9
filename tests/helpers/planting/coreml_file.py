"""A Core ML file, cut open. Planted weights stand in the program itself, where small constants do anyway."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from exporters.coreml.marks import marks_of
from exporters.coreml.read import read_program
from exporters.coreml.toolchain import coremltools
from planting.surgery import Constant, Layer, contiguous


class CoremlSurgeon:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.program = read_program(path)
        self.spec = coremltools().utils.load_spec(str(path))
        function = self.spec.mlProgram.functions["main"]
        self.block = function.block_specializations[function.opset]
        self.marks = marks_of(self.program)
        self.planted = 0

    def layers(self) -> list[Layer]:
        constants, found = self.program.constants, []
        for operation in self.program.operations:
            if operation.kind not in ("conv", "linear") or operation.operands["weight"] not in constants:
                continue
            weight = constants[str(operation.operands["weight"])]
            bias = constants.get(str(operation.operands.get("bias")))
            mark = self.marks.get(operation.name, "")
            found.append(Layer(mark, contiguous(weight), bias, operation.name))  # type: ignore[arg-type]
        return found

    def put_back(self, layer: Layer) -> None:
        for parameter, array in (("weight", layer.weight), ("bias", layer.bias)):
            if array is not None:
                self.store(Constant(layer.mark, array, (layer.handle, parameter)))

    def constants(self) -> list[Constant]:
        found = []
        for operation in self.program.operations:
            for parameter, name in operation.operands.items():
                value = self.program.constants.get(name) if isinstance(name, str) else None
                floats = isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.size
                if floats and (mark := self.marks.get(operation.name)):
                    found.append(Constant(mark, contiguous(value), (operation.name, parameter)))
        return found

    def store(self, constant: Constant) -> None:
        from coremltools.proto import MIL_pb2

        name, parameter = constant.handle
        place, operation = self._found(name)
        argument = operation.inputs[parameter].arguments[0]
        node = type(operation)()
        node.CopyFrom(self._plain(self._found(argument.name)[1]))
        self.planted += 1
        fresh = f"planted_{self.planted}"
        node.outputs[0].name = fresh
        node.attributes["name"].immediateValue.tensor.strings.values[:] = [fresh]
        value = node.attributes["val"]
        value.ClearField("blobFileValue")
        if value.type.tensorType.dataType == MIL_pb2.FLOAT16:
            value.immediateValue.tensor.bytes.values = constant.array.astype(np.float16).tobytes()
        else:
            value.immediateValue.tensor.floats.values[:] = constant.array.flatten().tolist()
        argument.name = fresh
        self.block.operations.insert(place, node)

    def _plain(self, stored: Any) -> Any:
        """The operation of a constant; of a compressed one, a constant of what it widens to."""
        if stored.type == "const":
            return stored
        node = type(stored)()
        node.type = "const"
        node.outputs.add().CopyFrom(stored.outputs[0])
        node.attributes["name"].CopyFrom(stored.attributes["name"])
        node.attributes["val"].type.CopyFrom(stored.outputs[0].type)
        return node

    def relus(self) -> list[str]:
        return [
            self.marks[one.name]
            for one in self.program.operations
            if one.kind == "relu" and one.name in self.marks
        ]

    def without_relu(self, mark: str) -> None:
        (name,) = (
            one.name
            for one in self.program.operations
            if one.kind == "relu" and self.marks.get(one.name) == mark
        )
        self._found(name)[1].type = "identity"

    def swap_outputs(self, first: str, second: str) -> None:
        (_, one), (_, other) = self._found(first), self._found(second)
        one.outputs[0].name, other.outputs[0].name = second, first

    def save(self, path: Path) -> None:
        shutil.copytree(self.path, path)
        (model,) = path.rglob("*.mlmodel")
        model.write_bytes(self.spec.SerializeToString())

    def _found(self, name: str) -> tuple[int, Any]:
        return next((i, o) for i, o in enumerate(self.block.operations) if o.outputs[0].name == name)
