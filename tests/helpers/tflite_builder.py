"""Small TFLite files, operator by operator, with the schema's own tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from exporters.tflite.flatbuffer import model_bytes, set_metadata
from exporters.tflite.fp16 import KEY, VALUE
from mocovit_deploy.artifacts.artifact import Array

_TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "float16": schema.TensorType.FLOAT16,
    "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64,
    "bool": schema.TensorType.BOOL,
}
_OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "TRANSPOSE_CONV": "TransposeConvOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "BATCH_MATMUL": "BatchMatMulOptions",
    "MEAN": "ReducerOptions",
    "SUM": "ReducerOptions",
    "REDUCE_MAX": "ReducerOptions",
    "REDUCE_MIN": "ReducerOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "LEAKY_RELU": "LeakyReluOptions",
    "CONCATENATION": "ConcatenationOptions",
    "SPLIT": "SplitOptions",
    "STRIDED_SLICE": "StridedSliceOptions",
    "MIRROR_PAD": "MirrorPadOptions",
    "GATHER": "GatherOptions",
    "CAST": "CastOptions",
    "RESIZE_BILINEAR": "ResizeBilinearOptions",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions",
    "PACK": "PackOptions",
    "UNPACK": "UnpackOptions",
    "SQUEEZE": "SqueezeOptions",
    "DEPTH_TO_SPACE": "DepthToSpaceOptions",
    "SPACE_TO_DEPTH": "SpaceToDepthOptions",
    "SOFTMAX": "SoftmaxOptions",
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "DIV": "DivOptions",
    "GELU": "GeluOptions",
}
_DEFAULTS: dict[str, dict[str, Any]] = {
    "CONV_2D": {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1},
    "DEPTHWISE_CONV_2D": {
        "strideH": 1,
        "strideW": 1,
        "dilationHFactor": 1,
        "dilationWFactor": 1,
        "depthMultiplier": 1,
    },
    "TRANSPOSE_CONV": {"strideH": 1, "strideW": 1},
    "SOFTMAX": {"beta": 1.0},
    "SQUEEZE": {"squeezeDims": []},
}


class TfliteBuilder:
    """Tensors are numbers; `op` returns those of its outputs."""

    def __init__(self) -> None:
        self.model = schema.ModelT()
        self.model.version, self.model.description = 3, b"test"
        self.graph = schema.SubGraphT()
        self.graph.name, self.graph.tensors, self.graph.operators = b"main", [], []
        self.graph.inputs, self.graph.outputs = [], []
        self.model.subgraphs, self.model.operatorCodes = [self.graph], []
        self.model.buffers, self.model.signatureDefs, self.model.metadata = [schema.BufferT()], [], []
        self.inputs: dict[str, int] = {}

    def tensor(self, shape: Sequence[int], dtype: str = "float32", data: Array | None = None) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape = f"t{len(self.graph.tensors)}".encode(), np.array(shape, np.int32)
        tensor.type, tensor.buffer = _TYPES[dtype], 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def input(self, name: str, shape: Sequence[int], dtype: str = "float32") -> int:
        self.inputs[name] = self.tensor(shape, dtype)
        return self.inputs[name]

    def constant(self, array: Array | Sequence[Any]) -> int:
        data = np.asarray(array)
        data = data.astype({"float64": "float32", "int64": "int32"}.get(str(data.dtype), data.dtype))
        return self.tensor(data.shape, str(data.dtype), data)

    def op(
        self, kind: str, inputs: Sequence[int], *shapes: Sequence[int], dtype: str = "float32", **options: Any
    ) -> int:
        """The number of its first output; outputs are numbered one after the other."""
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs = self._code(kind), np.array(inputs, np.int32)
        outputs = [self.tensor(shape, dtype) for shape in shapes]
        operator.outputs = np.array(outputs, np.int32)
        if kind in _OPTIONS:
            table = getattr(schema, f"{_OPTIONS[kind]}T")()
            for name, value in {**_DEFAULTS.get(kind, {}), **options}.items():
                assert hasattr(table, name), (kind, name)
                setattr(table, name, value)
            operator.builtinOptions = table
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, _OPTIONS[kind])
        self.graph.operators.append(operator)
        return outputs[0]

    def _code(self, kind: str) -> int:
        number = getattr(schema.BuiltinOperator, kind)
        for index, code in enumerate(self.model.operatorCodes):
            if code.builtinCode == number:
                return index
        code = schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), 1
        self.model.operatorCodes.append(code)
        return len(self.model.operatorCodes) - 1

    def file(self, outputs: Mapping[str, int], *, half: bool = True) -> bytes:
        """The file with these outputs, in this order, marked for fp16 arithmetic if `half`."""
        self.graph.inputs = np.array(list(self.inputs.values()), np.int32)
        self.graph.outputs = np.array(list(outputs.values()), np.int32)
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
        signature.inputs = [_named(name, index) for name, index in self.inputs.items()]
        signature.outputs = [_named(name, index) for name, index in outputs.items()]
        self.model.signatureDefs = [signature]
        if half:
            set_metadata(self.model, KEY, VALUE)
        return model_bytes(self.model)


def _named(name: str, index: int) -> Any:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name.encode(), index
    return entry
