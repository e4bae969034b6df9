"""The `Writer` that operator families write with: the file, the layout, and the node being written.

A family is a module with `OPERATIONS`, a mapping from ATen overloads to functions

    handler(w, *arguments) -> Value, or a list of Values

`arguments` are those of the ATen schema, in its order, with defaults filled in and tensors as `Value`s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from exporters.tflite.direct.axes import Array, Dims, Value, axes_of, flat, sizes
from exporters.tflite.direct.file import File
from exporters.tflite.direct.layout import Layout
from exporters.tflite.direct.unsupported import UnsupportedError

aten = torch.ops.aten

Result = Value | Sequence[Value]
Handler = Callable[..., Result]
Operations = Mapping[Any, Handler]

_CLAMPS = {(0.0, None): "RELU", (0.0, 6.0): "RELU6", (-1.0, 1.0): "RELU_N1_TO_1"}


class Writer:
    """Writes one node after another. `half` is for files that are computed in fp16."""

    def __init__(self, file: File, *, half: bool = False) -> None:
        self.file, self.layout, self.half = file, Layout(file), half
        self.node: fx.Node | None = None
        self.absorbed: dict[fx.Node, fx.Node] = {}
        """Nodes of fused activations, and for each the node whose operator computes it."""
        self._marks: Callable[[fx.Node], str] = lambda node: node.name

    def start(self, node: fx.Node, marks: Callable[[fx.Node], str]) -> None:
        """Begin a node: the tensors to come are named by its mark, `marks(node)`."""
        self.node, self._marks = node, marks
        self.file.mark = marks(node)

    # Values

    def value(self, tensor: int, physical: Dims, logical: Sequence[Any]) -> Value:
        """A tensor of the file under a view."""
        return Value(tensor, physical, tuple(logical), self.file.dtype(tensor))

    def constant(self, array: Any, dtype: Any = None, name: str = "") -> Value:
        """A constant with one axis for each dimension."""
        array = np.asarray(array, dtype)
        dims = axes_of(array.shape)
        return Value(None, dims, dims, array.dtype, array, name)

    def array(self, value: Value | None, what: str = "a weight") -> Array:
        """The numbers of a constant in PyTorch's order.

        Raises `UnsupportedError`, which calls the value `what`, if it is computed.
        """
        if value is None or value.array is None:
            raise UnsupportedError(f"{what} is computed, not constant")
        return np.asarray(self.layout.moved(value, value.logical).array).reshape(value.shape)

    def same(self, value: Value, tensor: int) -> Value:
        """Another tensor with the layout and the view of `value`."""
        return replace(value, tensor=tensor, array=None, name="", dtype=self.file.dtype(tensor))

    def unary(self, kind: str, value: Value, dtype: Any = None, **options: Any) -> Value:
        """One operator with one input, element by element."""
        held = self.layout.tensor(value)
        shape = sizes(value.physical)
        return self.same(value, self.file.operator(kind, [held], shape, dtype or value.dtype, **options))

    def cast(self, value: Value, dtype: Any) -> Value:
        """The value in another type."""
        dtype = np.dtype(dtype)
        if value.dtype == dtype:
            return value
        if value.array is not None:
            return replace(value, array=value.array.astype(dtype), dtype=dtype)
        types = self.file.schema.TensorType
        names = {"float32": types.FLOAT32, "int32": types.INT32, "int64": types.INT64, "bool": types.BOOL}
        names["uint8"] = types.UINT8
        return self.unary(
            "CAST", value, dtype, inDataType=names[value.dtype.name], outDataType=names[dtype.name]
        )

    def index(self, numbers: Any, name: str = "numbers") -> int:
        """A constant tensor of int32 numbers, such as a shape or axes."""
        return self.file.constant(np.array(numbers, np.int32), name)

    # Activations

    def fused(self) -> int:
        """Fuse the activation after this node, if it is the only reader and TFLite can; else return NONE.

        before   conv2d - relu          after   CONV_2D with RELU inside, marked as both
        """
        name = "NONE"
        user = self._only_user()
        if user is not None and (bounds := clamp_bounds(user)) in _CLAMPS:
            name = _CLAMPS[bounds]
            self.absorb(user)
        return int(getattr(self.file.schema.ActivationFunctionType, name))

    def absorb(self, user: fx.Node) -> None:
        """Note that the operator being written also computes `user`, which is then not written again."""
        assert self.node is not None
        self.absorbed[user] = self.node
        self.file.mark = f"{self._marks(user)};{self.file.mark}"

    def followed_by(self, *targets: Any) -> fx.Node | None:
        """The only reader of this node, if it calls one of `targets`."""
        user = self._only_user()
        return user if user is not None and user.target in targets else None

    def _only_user(self) -> fx.Node | None:
        users = list(self.node.users) if self.node is not None else []
        return users[0] if len(users) == 1 and users[0].op == "call_function" else None


def clamp_bounds(node: fx.Node) -> tuple[float | None, float | None]:
    """The bounds (low, high) of a clamp, relu, relu6 or hardtanh; (None, None) for any other node."""
    if node.target is aten.relu.default:
        return (0.0, None)
    if node.target is aten.relu6.default:
        return (0.0, 6.0)
    defaults = (-1.0, 1.0) if node.target is aten.hardtanh.default else (None, None)
    if node.target in (aten.hardtanh.default, aten.clamp.default):
        names = ("min_val", "max_val") if node.target is aten.hardtanh.default else ("min", "max")
        given = [
            node.args[i + 1] if len(node.args) > i + 1 else node.kwargs.get(name, defaults[i])
            for i, name in enumerate(names)
        ]
        low, high = (float(one) if isinstance(one, int | float) else None for one in given)
        return (low, high)
    if node.target is aten.clamp_min.default and isinstance(node.args[1], int | float):
        return (float(node.args[1]), None)
    return (None, None)


def numpy_of(tensor: Tensor) -> Array:
    """The numbers of a tensor; floats in float32, the type of files."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.is_floating_point() else tensor).contiguous().numpy()


def dimension(value: Value, index: int) -> int:
    """A dimension counted from the front."""
    return index % max(value.rank, 1)


def dimensions(value: Value, indices: int | Sequence[int] | None) -> list[int]:
    """Several dimensions counted from the front; all of them for None or an empty list."""
    if isinstance(indices, int):
        indices = [indices]
    return sorted({dimension(value, one) for one in indices}) if indices else list(range(value.rank))


def both(numbers: int | Sequence[int]) -> tuple[int, int]:
    """A pair (of height and width) from a number, a list of one, or a list of two."""
    numbers = [numbers] if isinstance(numbers, int) else list(numbers)
    return (numbers[0], numbers[-1])


def scalar_of(value: Value) -> float | None:
    """The number of a constant that holds only one, else None."""
    if value.array is not None and value.array.size == 1:
        return float(value.array.reshape(()))
    return None


__all__ = [
    "Handler",
    "Operations",
    "Result",
    "Writer",
    "aten",
    "both",
    "clamp_bounds",
    "dimension",
    "dimensions",
    "flat",
    "numpy_of",
    "scalar_of",
]
