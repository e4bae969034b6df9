"""The tables of a float file as operators and tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.extras import needs_extra

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
ABSENT = -1
"""The index in place of an optional input that is left out."""


@dataclass(frozen=True)
class Operator:
    """One operator: its place in the file, its kind, and the indices of its inputs and outputs."""

    index: int
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    table: Any
    """The flatbuffer object, `OperatorT`."""

    @property
    def result(self) -> int:
        """The index of its first output."""
        return self.outputs[0]

    @property
    def activation(self) -> int:
        """The schema's number of the activation fused into the operator; 0 for none."""
        return int(getattr(self.table.builtinOptions, "fusedActivationFunction", 0) or 0)


class Tables:
    """The main subgraph of a `ModelT`. Nothing is changed here."""

    def __init__(self, model: Any) -> None:
        self.model, self.graph = model, model.subgraphs[0]
        self.schema: Any = needs_extra("ai_edge_litert.schema_py_generated", "tflite")
        builtin = self.schema.BuiltinOperator
        kinds = {value: name for name, value in vars(builtin).items() if isinstance(value, int)}
        self.operators = [
            Operator(
                index=index,
                kind=kinds.get(self._code(one), f"BUILTIN {self._code(one)}"),
                inputs=tuple(map(int, one.inputs)),
                outputs=tuple(map(int, one.outputs)),
                table=one,
            )
            for index, one in enumerate(self.graph.operators)
        ]
        self.maker = {tensor: operator for operator in self.operators for tensor in operator.outputs}
        self.readers: dict[int, list[Operator]] = {index: [] for index in range(len(self.graph.tensors))}
        for operator in self.operators:
            for tensor in dict.fromkeys(operator.inputs):
                if tensor != ABSENT:
                    self.readers[tensor].append(operator)

    def name(self, tensor: int) -> str:
        """The name of a tensor; empty if it has none."""
        name = self.graph.tensors[tensor].name or b""
        return name.decode(errors="replace") if isinstance(name, bytes) else str(name)

    def shape(self, tensor: int) -> tuple[int, ...]:
        """The shape of a tensor; empty if the file gives none."""
        shape = self.graph.tensors[tensor].shape
        return () if shape is None else tuple(map(int, shape))

    def size(self, tensor: int) -> int:
        """The number of elements of a tensor."""
        return prod(self.shape(tensor))

    def is_constant(self, tensor: int) -> bool:
        """Is a tensor absent, or are its numbers in the file?"""
        if tensor == ABSENT:
            return True
        data = self.model.buffers[self.graph.tensors[tensor].buffer].data
        return data is not None and len(data) > 0

    def is_float(self, tensor: int) -> bool:
        """Is a tensor present, and float32?"""
        return tensor != ABSENT and self.graph.tensors[tensor].type == self.schema.TensorType.FLOAT32

    def array(self, tensor: int) -> Array:
        """The numbers of a float32 constant."""
        data = self.model.buffers[self.graph.tensors[tensor].buffer].data
        return np.frombuffer(np.asarray(data, np.uint8).tobytes(), np.float32).reshape(self.shape(tensor))

    def computed(self, operator: Operator) -> list[int]:
        """The float inputs of an operator that are not constant."""
        return [one for one in operator.inputs if self.is_float(one) and not self.is_constant(one)]

    def activations(self) -> list[int]:
        """All float tensors that are not constant, inputs of the file first."""
        made = [one for operator in self.operators for one in operator.outputs]
        return [one for one in (*map(int, self.graph.inputs), *made) if self.is_float(one)]

    def outputs(self) -> Sequence[int]:
        """The indices of the graph's outputs."""
        return [int(one) for one in self.graph.outputs]

    def _code(self, operator: Any) -> int:
        code = self.model.operatorCodes[operator.opcodeIndex]
        return int(max(code.builtinCode, code.deprecatedBuiltinCode))
