"""Replace a concat of channels in front of a 1x1 convolution by two such convolutions and one addition.

    before   a -+- concat - Depthwise(K) - SE - Conv 1x1(W, b) - y       Depthwise and SE are optional
             b -+
    after    a - Depthwise(K_a) - * gate_a - Conv 1x1(W_a, b) -+- y
             b - Depthwise(K_b) - * gate_b - Conv 1x1(W_b) ----+

The two halves of a Ghost module are then never copied into one tensor. A squeeze-and-excite block (SE) keeps
its two layers. Only its means are concatenated, one number for each channel, and its last layer is split into
both halves.

Shapes    a (N, Ca, H, W), b (N, Cb, H, W); W (Cout, Ca + Cb, 1, 1), W_a and W_b its columns
Refuses   a concat with another reader, or of more than two values; a convolution with more outputs than
          inputs, where the addition costs more than the copy
Exact     yes (float64)
Source    the linearity of the convolution; arXiv:1911.11907 for the concat
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import fx

from exporters.tflite.lowering.squeeze_excite import SqueezeExciteMatch, squeeze_excite
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
    only_reader,
    supplant,
)
from mocovit_deploy.passes.at_each import at_each
from mocovit_deploy.passes.result import Change, PassResult

Halves = tuple[fx.Node, fx.Node]


def sink_concat(graph: fx.GraphModule) -> PassResult:
    """Return a new graph without such concats, and the convolutions that took their place."""
    return at_each(graph, (aten.cat.default,), _sink_at)


def _sink_at(graph: fx.GraphModule, concat: fx.Node) -> Change | None:
    parts = argument(concat, "tensors")
    if argument(concat, "dim") != 1 or len(parts) != 2 or len(shape_of(concat)) != 4 or parts[0] is parts[1]:
        return None
    x, depthwise = concat, None
    reader = only_reader(x)
    if reader is not None and is_depthwise(graph, reader):
        x = depthwise = reader
    block = squeeze_excite(graph, x)
    last = only_reader(block.product if block is not None else x)
    if last is None or not is_pointwise(graph, last) or _widens(last):
        return None
    halves: Halves = (parts[0], parts[1])
    if depthwise is not None:
        halves = _through_depthwise(graph, depthwise, halves)
    if block is not None:
        halves = _through_gate(graph, block, halves)
    change = Change(module_path(concat), f"into {module_path(last)}")
    supplant(last, _summed(graph, last, halves))
    return change


def _widens(layer: fx.Node) -> bool:
    cout, cin = shape_of(argument(layer, "weight"))[:2]
    return cout > cin


def _cut(graph: fx.GraphModule, layer: fx.Node, at: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Weight and bias of the first `at` outputs of a layer, and of the others."""
    found = layer_weights(graph, layer)
    assert found is not None
    weight, bias = found
    return [(weight[:at], bias[:at]), (weight[at:], bias[at:])]


def _through_depthwise(graph: fx.GraphModule, layer: fx.Node, halves: Halves) -> Halves:
    cut = _cut(graph, layer, shape_of(halves[0])[1])
    first, second = (
        layer_like(graph, layer, layer, half, *stored) for half, stored in zip(halves, cut, strict=True)
    )
    return first, second


def _through_gate(graph: fx.GraphModule, block: SqueezeExciteMatch, halves: Halves) -> Halves:
    means = [
        insert_call(block.mean, block.mean.target, (h, *block.mean.args[1:]), block.mean) for h in halves
    ]
    supplant(block.mean, insert_call(block.mean, aten.cat.default, (means, 1), block.mean))
    cut = _cut(graph, block.expand, shape_of(halves[0])[1])
    first, second = (_gated(graph, block, half, stored) for half, stored in zip(halves, cut, strict=True))
    return first, second


def _gated(
    graph: fx.GraphModule, block: SqueezeExciteMatch, half: fx.Node, stored: Sequence[torch.Tensor]
) -> fx.Node:
    weight, bias = stored
    y = layer_like(graph, block.product, block.expand, argument(block.expand, "input"), weight, bias)
    gate = insert_call(block.product, block.gate.target, (y, *block.gate.args[1:]), block.gate)
    return insert_call(block.product, aten.mul.Tensor, (half, gate), block.product)


def _summed(graph: fx.GraphModule, layer: fx.Node, halves: Halves) -> fx.Node:
    found = layer_weights(graph, layer)
    assert found is not None
    weight, bias = found
    at = shape_of(halves[0])[1]
    first = layer_like(graph, layer, layer, halves[0], weight[:, :at], bias)
    second = layer_like(graph, layer, layer, halves[1], weight[:, at:], torch.zeros_like(bias))
    return insert_call(layer, aten.add.Tensor, (first, second), layer)
