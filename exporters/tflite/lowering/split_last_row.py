"""Compute the one pixel that is left over from XNNPACK's tiles by itself, with the kernel for one row.

XNNPACK multiplies six rows (pixels) at a time. The 49 pixels of a 7x7 image fill eight tiles, and the ninth
holds one pixel but costs as much as six. A product of a single row has its own kernel.

    before   x (N, C, 7, 7) - Conv 1x1 - ReLU - y (N, K, 7, 7)
    after    x - (N, C, 49, 1) -+- 48 - Conv 1x1 - ReLU -+- concat - y (N, K, 7, 7)
                                +-  1 - Conv 1x1 - ReLU -+

Operations that compute each pixel by itself (activations, sums and products) are applied to both pieces. The
pieces are joined only where an operation reads the whole image. Both convolutions read the same weights.

Shapes    x (1, C, H, W) with H * W one more than a multiple of six; y as before
Refuses   layers where the copies cost more than five rows of the product (`_pays`); batches; sizes that the
          caller of the file chooses
Exact     yes (float64)
Source    xnn_compute_gemm: one kernel for all tiles of an operator; the 6x8 (fp32) and 6x16 (fp16) kernels of
          a Cortex-A76. Four blocks of 128 - 512 - 128 channels on 7x7, instructions: 10.01 M become 9.42 M in
          fp32, 5.23 M become 4.96 M in fp16
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from torch import fx

from mocovit_deploy.graph.edit import (
    argument,
    aten,
    cleanup,
    count_calls,
    module_path,
    nodes_calling,
    shape_of,
    share_graph,
)
from mocovit_deploy.graph.insert import insert_call, is_pointwise
from mocovit_deploy.passes.result import Change, PassResult

TILE = 6
"""Rows of one tile, in fp32 and in fp16."""

_COPIED = 1.25
"""The cost of copying one number into a piece or out of one, in multiply-accumulates of a row."""

UNARY = (
    aten.relu.default,
    aten.relu6.default,
    aten.hardtanh.default,
    aten.clamp.default,
    aten.hardswish.default,
    aten.hardsigmoid.default,
    aten.sigmoid.default,
    aten.silu.default,
    aten.tanh.default,
    aten.gelu.default,
)
BINARY = (aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor)

Pieces = tuple[fx.Node, fx.Node]
"""All pixels but the last, and the last."""


def split_last_row(graph: fx.GraphModule) -> PassResult:
    """Return a new graph in which such layers are computed in two pieces."""
    if not count_calls(graph, aten.conv2d.default):
        return PassResult(graph)
    split = _Split(share_graph(graph))
    nodes = nodes_calling(split.graph, aten.conv2d.default, *UNARY, *BINARY)
    changes = tuple(change for node in nodes if (change := split.take(node)))
    if not changes:
        return PassResult(graph)
    split.join()
    return PassResult(cleanup(split.graph), changes)


@dataclass
class _Split:
    """A graph while its layers are split."""

    graph: fx.GraphModule
    held: dict[fx.Node, Pieces] = field(default_factory=dict)
    """By value: the two pieces that are computed in its place."""
    cut: dict[fx.Node, Pieces] = field(default_factory=dict)
    """By value: the two pieces that are cut out of it."""

    def take(self, node: fx.Node) -> Change | None:
        """Compute `node` in pieces if it is a layer that gains by it, or if its operands are in pieces."""
        if node.target is aten.conv2d.default:
            x = argument(node, "input")
            if not is_pointwise(self.graph, node) or not self._pays(node, x):
                return None
            self._compute(node, {x: self._pieces(x, node)})
            rows = math.prod(shape_of(node)[2:])
            return Change(module_path(node), f"{rows} pixels as {rows - 1} and 1")
        operands = {one: self.held[one] for one in node.all_input_nodes if one in self.held}
        if len(operands) == len(node.all_input_nodes) and _same_size(node, operands):
            self._compute(node, operands)
        return None

    def _pays(self, layer: fx.Node, x: fx.Node) -> bool:
        """Does the product save more than the copies of its input and output cost?"""
        if not _one_over(layer):
            return False
        wide, narrow = shape_of(argument(layer, "weight"))[:2]
        copied = wide + (0 if x in self.held or x in self.cut else narrow)
        return wide * narrow >= _COPIED * math.prod(shape_of(layer)[2:]) * copied

    def _pieces(self, x: fx.Node, reader: fx.Node) -> Pieces:
        """The pieces of x. If there are none yet, x is cut before `reader`."""
        if x in self.held:
            return self.held[x]
        if x not in self.cut:
            n, c, h, w = shape_of(x)
            rows = insert_call(reader, aten.reshape.default, (x, [n, c, h * w, 1]), reader)
            self.cut[x] = (
                insert_call(reader, aten.slice.Tensor, (rows, 2, 0, h * w - 1), reader),
                insert_call(reader, aten.slice.Tensor, (rows, 2, h * w - 1, h * w), reader),
            )
        return self.cut[x]

    def _compute(self, node: fx.Node, operands: dict[fx.Node, Pieces]) -> None:
        """Insert `node` twice, with the first and with the second pieces of its operands."""

        def piece(number: int) -> fx.Node:
            def of(one: fx.Node) -> fx.Node:
                return operands[one][number] if one in operands else one

            arguments: Any = fx.node.map_arg(node.args, of)
            return insert_call(node, node.target, arguments, node, **fx.node.map_arg(node.kwargs, of))

        self.held[node] = (piece(0), piece(1))

    def join(self) -> None:
        """Join the pieces of values that an operation reads as whole images."""
        for node, pieces in self.held.items():
            readers = [one for one in node.users if one not in self.held]
            if not readers:
                continue
            rows = insert_call(node, aten.cat.default, (list(pieces), 2), node)
            image = insert_call(node, aten.reshape.default, (rows, list(shape_of(node))), node)
            for reader in readers:
                reader.replace_input_with(node, image)


def _one_over(node: fx.Node) -> bool:
    """Is the value one image with one pixel more than fills its tiles?"""
    shape = shape_of(node)
    if len(shape) != 4 or not all(isinstance(one, int) for one in shape) or shape[0] != 1:
        return False
    return shape[2] * shape[3] > TILE and shape[2] * shape[3] % TILE == 1


def _same_size(node: fx.Node, operands: dict[fx.Node, Pieces]) -> bool:
    """Do all operands have the shape of the result, so that none is broadcast?"""
    return all(shape_of(one) == shape_of(node) for one in operands)
