"""Compute SiLU by TANH, which takes XNNPACK two thirds of the instructions of LOGISTIC.

    before   x - Conv(W, b) - y - y * sigmoid(y)
    after    x - Conv(W/2, b/2) - h - h + h * tanh(h)          h = y/2, and sigmoid(y) = (1 + tanh(y/2)) / 2

Shapes    any
Refuses   a SiLU whose input has another reader, or does not come from a convolution or linear layer
Exact     yes (float64); in half precision 1 + tanh(h) loses its digits near tanh = -1: efficientnet_b0 is
          off by 1.3e-2 and fails, mobilevit_xxs by 2.9e-3. So an fp16 file has it only if it passes with room
Source    the identity above; 5.8 instructions a value against 9.1 in fp32, LiteRT 2.3.0 on a Cortex-A76
"""

from __future__ import annotations

from torch import fx

from mocovit_deploy.graph.edit import aten, module_path
from mocovit_deploy.graph.insert import (
    insert_call,
    is_convolution,
    is_linear,
    layer_weights,
    only_reader,
    supplant,
    with_weights,
)
from mocovit_deploy.passes.at_each import at_each
from mocovit_deploy.passes.result import Change, PassResult


def silu_by_tanh(graph: fx.GraphModule) -> PassResult:
    """Return a new graph with such SiLUs written by tanh, with half of their input in the layer before."""
    return at_each(graph, (aten.silu.default,), _halve_at)


def _halve_at(graph: fx.GraphModule, silu: fx.Node) -> Change | None:
    layer = silu.args[0]
    if not isinstance(layer, fx.Node) or only_reader(layer) is not silu:
        return None
    if not (is_convolution(graph, layer) or is_linear(graph, layer)):
        return None
    found = layer_weights(graph, layer)
    assert found is not None
    half = with_weights(graph, layer, *(one / 2 for one in found))
    curve = insert_call(silu, aten.tanh.default, (half,), silu)
    product = insert_call(silu, aten.mul.Tensor, (half, curve), silu)
    change = Change(module_path(silu), f"by tanh, the half in {module_path(layer)}")
    supplant(silu, insert_call(silu, aten.add.Tensor, (half, product), silu))
    return change
