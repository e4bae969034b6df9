"""QDQ: QuantizeLinear and DequantizeLinear around the nodes that are to be int8, on the scheme's grids.

    before   x - Conv(W, b) - y
    after    x - Q - DQ - Conv(DQ(W8), DQ(b32)) - y - Q - DQ -

A runtime with an int8 kernel fuses DQ - Conv - Q into one operator. Any other computes the same in float, as
ONNX Runtime does on x86-64 for most. Inputs and results of `QUANTIZED` are rounded, each once, however many
nodes read it. A value that only a Relu or a Clip reads is not rounded, because runtimes fuse those. Outputs
of the file, attention's products, normalizations and divisions stay float.

Sources   ONNX operators QuantizeLinear-13 and DequantizeLinear-13
          ONNX Runtime, Quantize ONNX models: QDQ, S8S8
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.artifacts.marks import split_mark
from mocovit_deploy.extras import needs_extra
from mocovit_deploy.quantization.grid import Grid, weight_grid
from mocovit_deploy.quantization.scheme import Scheme

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
QUANTIZED = (*WEIGHTED, "Add", "Concat", "MaxPool", "GlobalAveragePool", "Relu", "Clip")
FUSED = ("Relu", "Clip")
LARGEST_BIAS = 1 << 30
"""The largest magnitude of an int32 bias; the scales of weights grow where a bias would exceed it."""


def quantize(
    model: Any, scheme: Scheme, marks: Mapping[str, str], inputs: Mapping[str, str], *, weights_only: bool
) -> dict[str, Any]:
    """Quantize the nodes of a model in place. Returns the numbers of "int8" and of "float" nodes, by kind.

    `marks` maps the values of the file to the marks of the graph's operations, `inputs` the names of inputs
    in the file to those in the graph. `weights_only` leaves activations in float.
    """
    editing = _Quantizer(model, scheme, marks, inputs, weights_only=weights_only)
    editing.rewrite()
    return editing.counts


class _Quantizer:
    def __init__(
        self,
        model: Any,
        scheme: Scheme,
        marks: Mapping[str, str],
        inputs: Mapping[str, str],
        *,
        weights_only: bool,
    ) -> None:
        self.helper: Any = needs_extra("onnx.helper", "onnx")
        self.arrays: Any = needs_extra("onnx.numpy_helper", "onnx")
        self.graph, self.scheme, self.weights_only = model.graph, scheme, weights_only
        self.constants = {one.name: one for one in self.graph.initializer}
        named = {value: split_mark(text)[1] for value, text in marks.items()} | dict(inputs)
        known = scheme.values
        self.grids = {value: known[name] for value, name in named.items() if name in known}
        self.readers: dict[str, list[Any]] = {}
        for node in self.graph.node:
            for value in node.input:
                self.readers.setdefault(value, []).append(node)
        self.counts: dict[str, dict[str, int]] = {"int8": {}, "float": {}}
        self.rounded: dict[str, str] = {}
        """By the name of a rounded value: the name of its dequantized form."""

    def rewrite(self) -> None:
        """Insert QuantizeLinear and DequantizeLinear for the operators that fit, in place."""
        chosen = {id(node) for node in self.graph.node if self._fits(node)}
        outputs = {one.name for one in self.graph.output}
        wanted = set() if self.weights_only else self._values(chosen) - outputs
        made: list[Any] = []
        for one in self.graph.input:
            made += self._pair(one.name) if one.name in wanted else []
        for node in list(self.graph.node):
            label = "int8" if id(node) in chosen else "float"
            self.counts[label][node.op_type] = self.counts[label].get(node.op_type, 0) + 1
            source = node.input[0] if node.input else ""
            for place, value in enumerate(node.input):
                node.input[place] = self.rounded.get(value, value)
            if id(node) in chosen and node.op_type in WEIGHTED:
                made += self._weights(node, source)
            made.append(node)
            for value in node.output:
                made += self._pair(value) if value in wanted else []
        del self.graph.node[:]
        self.graph.node.extend(made)
        self._drop_unread()

    def _fits(self, node: Any) -> bool:
        if node.op_type in WEIGHTED and (len(node.input) < 2 or node.input[1] not in self.constants):
            return False
        if self.weights_only:
            return node.op_type in WEIGHTED
        computed = [one for one in node.input if one and one not in self.constants]
        if node.op_type == "Add" and len(computed) < 2:
            return False
        return node.op_type in QUANTIZED and all(one in self.grids for one in computed)

    def _values(self, chosen: set[int]) -> set[str]:
        """The values that chosen nodes read or make, without those that only a fused Relu or Clip reads."""
        found: set[str] = set()
        for node in self.graph.node:
            if id(node) in chosen:
                found |= {one for one in (*node.input, *node.output) if one in self.grids}
        return {
            one
            for one in found
            if not ((read := self.readers.get(one)) and all(r.op_type in FUSED for r in read))
        }

    def _pair(self, value: str) -> list[Any]:
        """The QuantizeLinear and the DequantizeLinear of a value."""
        grid, stored, real = self.grids[value], f"{value}/int8", f"{value}/rounded"
        scale, zero = self._constant(f"{value}/scale", grid.scale), self._zero(value, grid)
        self.rounded[value] = real
        return [
            self.helper.make_node("QuantizeLinear", [value, scale, zero], [stored], name=f"{value}/quantize"),
            self.helper.make_node("DequantizeLinear", [stored, scale, zero], [real], name=f"{value}/widen"),
        ]

    def _weights(self, node: Any, source: str) -> list[Any]:
        """The stored weights and bias of a layer, each with its DequantizeLinear."""
        name, axis = node.input[1], self._axis(node)
        numbers = self.arrays.to_array(self.constants[name])
        if numbers.ndim < 2:
            return []
        grid = self._weight_grid(name, numbers, axis)
        own = self.grids.get(source)
        bias = node.input[2] if len(node.input) > 2 and node.input[2] in self.constants else ""
        offsets = self.arrays.to_array(self.constants[bias]).astype(np.float64) if bias else None
        if offsets is not None and own is not None and not self.weights_only:
            least = np.abs(offsets) / (LARGEST_BIAS * own.scale[0])
            scales = np.maximum(grid.scale, least) if offsets.shape == (len(grid.scale),) else grid.scale
            grid = replace(grid, scale=tuple(float(np.float32(one)) for one in scales))
        node.input[1] = real = f"{name}/widened/{node.output[0]}"
        stored = grid.rounded(numbers)
        made = [self._widen(real, f"{name}/int8/{node.output[0]}", stored, grid)]
        if offsets is None or own is None or self.weights_only or offsets.shape != (len(grid.scale),):
            return made
        offsets = offsets - self._mean_error(node, name, grid.real(stored) - numbers)
        units = np.array(grid.scale, np.float32) * np.float32(own.scale[0])
        wide = Grid(tuple(map(float, units)), (0,) * len(units), "int32", 0)
        node.input[2] = real = f"{bias}/widened/{node.output[0]}"
        rounded = np.round(offsets / units.astype(np.float64)).astype(np.int32)
        return [*made, self._widen(real, f"{bias}/int32/{node.output[0]}", rounded, wide)]

    def _weight_grid(self, name: str, numbers: Array, axis: int) -> Grid:
        grid = self.scheme.weights.get(name)
        if grid is not None and grid.axis == axis and len(grid.scale) == numbers.shape[axis]:
            return grid
        return weight_grid(numbers, axis)

    def _mean_error(self, node: Any, name: str, error: Array) -> Array | float:
        """The change in the mean of each output channel by rounding weights (arXiv:1906.04721, 4.2)."""
        means = self.scheme.input_means.get(name)
        if means is None:
            return 0.0
        if node.op_type == "Gemm" and self._axis(node) == 0 and error.shape[1] == len(means):
            return np.asarray(error @ means)
        if node.op_type != "Conv":
            return 0.0
        taps = error.reshape(*error.shape[:2], -1).sum(axis=-1)
        groups = len(means) // taps.shape[1]
        parts = taps.reshape(groups, -1, taps.shape[1])
        return np.asarray(np.einsum("goi,gi->go", parts, means.reshape(groups, -1)).reshape(-1))

    def _axis(self, node: Any) -> int:
        """The axis of the output channels in the weights of a layer."""
        if node.op_type == "Gemm":
            turned = next((one.i for one in node.attribute if one.name == "transB"), 0)
            return 0 if turned else 1
        if node.op_type == "MatMul":
            return len(self.constants[node.input[1]].dims) - 1
        return 1 if node.op_type == "ConvTranspose" else 0

    def _widen(self, result: str, name: str, stored: Array, grid: Grid) -> Any:
        scale = self._constant(f"{name}/scale", grid.scale, whole=True)
        self.graph.initializer.append(self.arrays.from_array(stored, name))
        assert grid.axis is not None
        return self.helper.make_node(
            "DequantizeLinear", [name, scale], [result], name=f"{name}/widen", axis=grid.axis
        )

    def _constant(self, name: str, numbers: Sequence[float], *, whole: bool = False) -> str:
        array = np.array(numbers if whole else numbers[0], np.float32)
        self.graph.initializer.append(self.arrays.from_array(array, name))
        return name

    def _zero(self, value: str, grid: Grid) -> str:
        name = f"{value}/zero"
        array = np.array(grid.zero_point[0], grid.dtype)
        self.graph.initializer.append(self.arrays.from_array(array, name))
        return name

    def _drop_unread(self) -> None:
        read = {value for node in self.graph.node for value in node.input}
        kept = [one for one in self.graph.initializer if one.name in read]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)
