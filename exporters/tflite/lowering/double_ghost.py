"""Write a Ghost module of few channels as one depthwise convolution, without a concat.

    before   x - Conv 1x1(W) - act - a -+------------------ concat - y
                                        +- Depthwise(K) - act -+
    after    x - Conv 1x1(W, W) - act - (a, a) - Depthwise(I, K) - act - y      I is the identity kernel

`act` is ReLU in both places or nothing in both. Applying ReLU to `a` twice changes nothing.

Shapes    W (C, Cin, 1, 1), C at most `MOST_CHANNELS`; K and I (C, 1, k, k); y (N, 2C, H, W)
Refuses   more channels: they fill XNNPACK's registers, and the doubled work costs more than the copy
Exact     yes (float64)
Source    arXiv:1911.11907, figure 1b; the identity kernel of arXiv:2101.03697, section 3.3
"""

from __future__ import annotations

import torch
from torch import Tensor, fx

from mocovit_deploy.graph.edit import (
    argument,
    aten,
    module_path,
    shape_of,
)
from mocovit_deploy.graph.insert import (
    insert_call,
    is_depthwise,
    is_pointwise,
    layer_like,
    layer_weights,
    supplant,
)
from mocovit_deploy.passes.at_each import at_each
from mocovit_deploy.passes.result import Change, PassResult

RELU = aten.relu.default
MOST_CHANNELS = 8


def double_ghost(graph: fx.GraphModule) -> PassResult:
    """Return a new graph with such Ghost modules doubled, and their module paths."""
    return at_each(graph, (aten.cat.default,), _double_at)


def _double_at(graph: fx.GraphModule, concat: fx.Node) -> Change | None:
    parts = argument(concat, "tensors")
    if argument(concat, "dim") != 1 or len(parts) != 2:
        return None
    first, second = parts
    activated = first.target is RELU
    dense = first.args[0] if activated else first
    cheap = second.args[0] if second.target is RELU else second
    if (second.target is RELU) != activated or not is_pointwise(graph, dense):
        return None
    if not _keeps_size(graph, cheap) or argument(cheap, "input") is not first:
        return None
    if shape_of(first)[1] > MOST_CHANNELS:
        return None
    _double(graph, concat, dense, cheap, first if activated else None)
    return Change(module_path(concat), f"{module_path(dense)} and {module_path(cheap)} doubled")


def _keeps_size(graph: fx.GraphModule, node: object) -> bool:
    """True for a depthwise convolution that keeps the size of its image: stride 1, "same" padding."""
    if not is_depthwise(graph, node):
        return False
    assert isinstance(node, fx.Node)
    stride, dilation = argument(node, "stride"), argument(node, "dilation")
    kernel = shape_of(argument(node, "weight"))[2:]
    same = all(2 * pad == size - 1 for pad, size in zip(argument(node, "padding"), kernel, strict=True))
    return set(stride) == set(dilation) == {1} and same


def _double(
    graph: fx.GraphModule, concat: fx.Node, dense: fx.Node, cheap: fx.Node, activation: fx.Node | None
) -> None:
    wide, kernels = layer_weights(graph, dense), layer_weights(graph, cheap)
    assert wide is not None
    assert kernels is not None
    twice = [torch.cat((one, one)) for one in wide]
    y = layer_like(graph, concat, dense, argument(dense, "input"), *twice)
    if activation is not None:
        y = insert_call(concat, RELU, (y,), activation)
    kernel, bias = kernels
    both = (torch.cat((_identity(kernel), kernel)), torch.cat((torch.zeros_like(bias), bias)))
    y = layer_like(graph, concat, cheap, y, *both)
    if activation is not None:
        y = insert_call(concat, RELU, (y,), concat)
    supplant(concat, y)


def _identity(kernel: Tensor) -> Tensor:
    identity = torch.zeros_like(kernel)
    identity[:, :, kernel.shape[2] // 2, kernel.shape[3] // 2] = 1
    return identity
