"""The tables of a TFLite file under construction: tensors, constants, operators, and their versions.

No other module of the writer touches these tables. Shapes are those of the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from exporters.tflite.direct.axes import Array
from exporters.tflite.direct.versions import version_of
from mocovit_deploy.extras import needs_extra

_TYPES = {
    "float32": "FLOAT32",
    "float16": "FLOAT16",
    "int32": "INT32",
    "int64": "INT64",
    "int8": "INT8",
    "uint8": "UINT8",
    "bool": "BOOL",
}
_OPTIONS = {
    "ABS": "AbsOptions",
    "ADD": "AddOptions",
    "ARG_MAX": "ArgMaxOptions",
    "ARG_MIN": "ArgMinOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "BATCH_MATMUL": "BatchMatMulOptions",
    "BROADCAST_TO": "BroadcastToOptions",
    "CAST": "CastOptions",
    "CONCATENATION": "ConcatenationOptions",
    "CONV_2D": "Conv2DOptions",
    "COS": "CosOptions",
    "CUMSUM": "CumsumOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "DEQUANTIZE": "DequantizeOptions",
    "DIV": "DivOptions",
    "EQUAL": "EqualOptions",
    "EXP": "ExpOptions",
    "FLOOR_DIV": "FloorDivOptions",
    "FLOOR_MOD": "FloorModOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "GATHER": "GatherOptions",
    "GELU": "GeluOptions",
    "GREATER": "GreaterOptions",
    "GREATER_EQUAL": "GreaterEqualOptions",
    "HARD_SWISH": "HardSwishOptions",
    "LEAKY_RELU": "LeakyReluOptions",
    "LESS": "LessOptions",
    "LESS_EQUAL": "LessEqualOptions",
    "LOGICAL_AND": "LogicalAndOptions",
    "LOGICAL_NOT": "LogicalNotOptions",
    "LOGICAL_OR": "LogicalOrOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "MIRROR_PAD": "MirrorPadOptions",
    "MUL": "MulOptions",
    "NEG": "NegOptions",
    "NOT_EQUAL": "NotEqualOptions",
    "PAD": "PadOptions",
    "POW": "PowOptions",
    "REDUCE_MAX": "ReducerOptions",
    "REDUCE_MIN": "ReducerOptions",
    "REDUCE_PROD": "ReducerOptions",
    "RESHAPE": "ReshapeOptions",
    "RESIZE_BILINEAR": "ResizeBilinearOptions",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions",
    "REVERSE_V2": "ReverseV2Options",
    "SELECT_V2": "SelectV2Options",
    "SIGN": "SignOptions",
    "SLICE": "SliceOptions",
    "SOFTMAX": "SoftmaxOptions",
    "SQUARE": "SquareOptions",
    "SQUARED_DIFFERENCE": "SquaredDifferenceOptions",
    "SUB": "SubOptions",
    "SUM": "ReducerOptions",
    "TOPK_V2": "TopKV2Options",
    "TRANSPOSE": "TransposeOptions",
    "TRANSPOSE_CONV": "TransposeConvOptions",
}
"""The table of options of each kind of operator; kinds that are not listed have none."""
_LARGE = 1 << 12


class File:
    """One main subgraph with one signature. `half_weights` stores weights in float16."""

    def __init__(self, *, half_weights: bool = False) -> None:
        self.schema: Any = needs_extra("ai_edge_litert.schema_py_generated", "tflite")
        schema = self.schema
        self.model, self.graph = schema.ModelT(), schema.SubGraphT()
        self.model.version, self.model.description = 3, b"mocovit-deploy"
        self.model.buffers = [schema.BufferT()]  # by convention the first is empty, for computed tensors
        self.model.operatorCodes, self.model.metadata, self.model.subgraphs = [], [], [self.graph]
        self.graph.name, self.graph.tensors, self.graph.operators = b"main", [], []
        self.half_weights = half_weights
        self.mark = ""
        """The name of the tensors to come: the marks of the node being written."""
        self._codes: dict[tuple[str, int], int] = {}
        self._constants: dict[Any, int] = {}
        self._weights: dict[int, int] = {}
        self._names: Counter[str] = Counter()

    def shape(self, tensor: int) -> tuple[int, ...]:
        """The shape of a tensor of the file."""
        return tuple(map(int, self.graph.tensors[tensor].shape))

    def dtype(self, tensor: int) -> np.dtype[Any]:
        """The dtype of a tensor of the file."""
        kind = self.graph.tensors[tensor].type
        return np.dtype(next(k for k, v in _TYPES.items() if getattr(self.schema.TensorType, v) == kind))

    def tensor(self, shape: Sequence[int], dtype: Any, name: str = "", buffer: int = 0) -> int:
        """Append a tensor and return its index. Its name is `name`, or else `self.mark`."""
        made = self.schema.TensorT()
        made.shape, made.hasRank, made.buffer = list(map(int, shape)), True, buffer
        made.type = getattr(self.schema.TensorType, _TYPES[np.dtype(dtype).name])
        made.name = self._unused(name or self.mark).encode()
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def constant(self, array: Any, name: str = "constant") -> int:
        """The index of a constant tensor; equal constants are stored once."""
        array = np.asarray(array, order="C")
        data = array.tobytes()
        key = (array.shape, array.dtype.str, data if len(data) < _LARGE else hash(data))
        if key not in self._constants:
            buffer = self.schema.BufferT()
            buffer.data = np.frombuffer(data, np.uint8)
            self.model.buffers.append(buffer)
            made = self.tensor(array.shape, array.dtype, name, len(self.model.buffers) - 1)
            self._constants[key] = made
        return self._constants[key]

    def weight(self, array: Array, name: str = "weight") -> int:
        """A float32 constant for a matrix product; with `half_weights` in float16, behind a DEQUANTIZE."""
        if not self.half_weights:
            return self.constant(array.astype(np.float32), name)
        with np.errstate(over="ignore"):
            stored = self.constant(array.astype(np.float16), name)
        if stored not in self._weights:
            self._weights[stored] = self.operator("DEQUANTIZE", [stored], array.shape)
        return self._weights[stored]

    def operator(
        self, kind: str, inputs: Sequence[int], shape: Sequence[int], dtype: Any = np.float32, **options: Any
    ) -> int:
        """Append an operator with one output, and return the index of the output.

        `options` are fields of its table of options. Raises `AttributeError` for a field that it lacks.
        """
        return self.operators(kind, inputs, [(shape, dtype)], **options)[0]

    def operators(
        self, kind: str, inputs: Sequence[int], outputs: Sequence[tuple[Sequence[int], Any]], **options: Any
    ) -> list[int]:
        """Append an operator with outputs of these shapes and dtypes, and return their indices."""
        schema, made = self.schema, self.schema.OperatorT()
        ranks = [len(self.shape(one)) if one >= 0 else 0 for one in inputs]
        same = len({self.shape(one) for one in inputs[:2] if one >= 0}) == 1
        dtypes = [self.dtype(one).name if one >= 0 else "" for one in inputs]
        made.opcodeIndex = self._code(kind, version_of(kind, dtypes, ranks, options, broadcast=not same))
        made.inputs = list(map(int, inputs))
        made.outputs = [self.tensor(shape, dtype) for shape, dtype in outputs]
        if table := _OPTIONS.get(kind):
            made.builtinOptionsType = getattr(schema.BuiltinOptions, table)
            made.builtinOptions = getattr(schema, f"{table}T")()
            for key, value in options.items():
                if not hasattr(made.builtinOptions, key):
                    raise AttributeError(f"{table} has no field {key}")
                setattr(made.builtinOptions, key, value)
        self.graph.operators.append(made)
        return list(made.outputs)

    def finish(self, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> Any:
        """The finished tables (`ModelT`), with these named inputs and outputs as their signature."""
        schema, graph = self.schema, self.graph
        graph.inputs, graph.outputs = list(inputs.values()), list(outputs.values())
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
        signature.inputs = [self._entry(*one) for one in inputs.items()]
        signature.outputs = [self._entry(*one) for one in outputs.items()]
        self.model.signatureDefs = [signature]
        return self.model

    def _entry(self, name: str, tensor: int) -> Any:
        entry = self.schema.TensorMapT()
        entry.name, entry.tensorIndex = name.encode(), tensor
        return entry

    def _code(self, kind: str, version: int) -> int:
        if (kind, version) not in self._codes:
            code = self.schema.OperatorCodeT()
            code.builtinCode = getattr(self.schema.BuiltinOperator, kind)
            # Old runtimes read only this field. It is a byte; 127 means that the other field has the code.
            code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), version
            self._codes[kind, version] = len(self.model.operatorCodes)
            self.model.operatorCodes.append(code)
        return self._codes[kind, version]

    def _unused(self, name: str) -> str:
        """The name itself, then "name;1", "name;2"."""
        self._names[name] += 1
        count = self._names[name] - 1
        return f"{name};{count}" if count else name
