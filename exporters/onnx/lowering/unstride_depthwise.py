"""Depthwise convolutions of stride 2 by the one depthwise kernel that ONNX Runtime has on ARM: 3x3, stride 1.

    before   x - DepthwiseConv 3x3, stride 2 - y
    after    x - DepthwiseConv 3x3, stride 1 - every second row and column - y

    before   x - DepthwiseConv 5x5, stride 2 - y
    after    x - every second row and column, from (r, c) - DepthwiseConv 3x3, stride 1 -+- y
                                     for each of the four (r, c)                        -+

Any other depthwise convolution is expanded to a matrix first, channel by channel, which costs six integer
instructions for each number multiplied: 30 of the 139 million instructions of `mocovit_1_0`. Tap t of the
large kernel reads x[2 i + t - p], which is row i + j of the rows from r on, where t - p = 2 j + r.

Shapes    x (N, C, H, W), H and W even; y (N, C, H/2, W/2)
Refuses   kernels that reach further than two rows to either side; odd sizes
Exact     yes (float64)
Source    MLAS, `MlasConvPrepare`: the direct kernel is for 3x3, padding of at most 1, stride 1
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, fx

from mocovit_deploy.graph.edit import (
    argument,
    aten,
    cleanup,
    count,
    module_path,
    nodes_calling,
    shape_of,
    share_graph,
)
from mocovit_deploy.graph.insert import call, is_depthwise, store, supplant, weights
from mocovit_deploy.passes.result import Change, PassResult

END = 2**63 - 1


def unstride_depthwise(graph: fx.GraphModule) -> PassResult:
    if not count(graph, aten.conv2d.default):
        return PassResult(graph)
    graph = share_graph(graph)
    changes = []
    for layer in nodes_calling(graph, aten.conv2d.default):
        found = weights(graph, layer) if _fits(graph, layer) else None
        if found is None:
            continue
        height, width = found[0].shape[2:]
        if (height, width) == (3, 3) and set(argument(layer, "padding")) == {1}:
            y, how = _every_second(layer, _convolved(graph, layer, argument(layer, "input"), *found)), "one"
        else:
            y, how = _by_phases(graph, layer, *found), "four"
        changes.append(Change(module_path(layer), f"{height}x{width} of stride 2 as {how} of stride 1"))
        supplant(layer, y)
    return PassResult(cleanup(graph), tuple(changes))


def _fits(graph: fx.GraphModule, layer: fx.Node) -> bool:
    if not is_depthwise(graph, layer) or set(argument(layer, "stride")) != {2}:
        return False
    sizes, out = shape_of(argument(layer, "input"))[2:], shape_of(layer)[2:]
    kernel, pads = shape_of(argument(layer, "weight"))[2:], argument(layer, "padding")
    near = all(-2 <= t - pads[-1 if i else 0] <= 3 for i in (0, 1) for t in (0, kernel[i] - 1))
    halved = all(size % 2 == 0 and half * 2 == size for size, half in zip(sizes, out, strict=True))
    return near and halved and set(argument(layer, "dilation")) == {1}


def _convolved(
    graph: fx.GraphModule, layer: fx.Node, x: fx.Node, weight: Tensor, bias: Tensor | None
) -> fx.Node:
    """A 3x3 depthwise convolution of stride 1 and padding 1, as part of `layer`."""
    name = module_path(layer).replace(".", "_").strip("()") or "layer"
    stored: list[Any] = [store(graph, layer, f"{name}_weight", weight, layer), None]
    if bias is not None:
        stored[1] = store(graph, layer, f"{name}_bias", bias, layer)
    how = ([1, 1], [1, 1], [1, 1], weight.shape[0])
    return call(layer, aten.conv2d.default, (x, *stored, *how), layer)


def _every_second(layer: fx.Node, x: fx.Node, row: int = 0, column: int = 0) -> fx.Node:
    rows = call(layer, aten.slice.Tensor, (x, 2, row, END, 2), layer)
    return call(layer, aten.slice.Tensor, (rows, 3, column, END, 2), layer)


def _by_phases(graph: fx.GraphModule, layer: fx.Node, weight: Tensor, bias: Tensor) -> fx.Node:
    pads = argument(layer, "padding")
    total = None
    for row in (0, 1):
        for column in (0, 1):
            part = _phase(weight, (row, column), (pads[0], pads[-1]))
            x = _every_second(layer, argument(layer, "input"), row, column)
            y = _convolved(graph, layer, x, part, bias if total is None else None)
            total = y if total is None else call(layer, aten.add.Tensor, (total, y), layer)
    assert total is not None
    return total


def _phase(weight: Tensor, start: tuple[int, int], pads: tuple[int, int]) -> Tensor:
    """The taps of (C, 1, kH, kW) that read rows and columns of one parity, as (C, 1, 3, 3)."""
    part = weight.new_zeros(weight.shape[0], 1, 3, 3)
    taps = [[2 * j + start[i] + pads[i] for j in (-1, 0, 1)] for i in (0, 1)]
    for i, row in enumerate(taps[0]):
        for j, column in enumerate(taps[1]):
            if 0 <= row < weight.shape[2] and 0 <= column < weight.shape[3]:
                part[:, :, i, j] = weight[:, :, row, column]
    return part
