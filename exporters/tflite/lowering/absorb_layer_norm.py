"""Move the scale and shift of a LayerNorm into the layers that read it.

    before   x - LayerNorm(g, t) - Linear(W, b) - y
    after    x - LayerNorm - Linear(W * g, b + W t) - y

    before   x - LayerNorm(g, t) - reshape, transpose - Conv 1x1(W, b) - y     ending MobileViT's blocks
    after    x - LayerNorm - reshape, transpose - Conv 1x1(W * g, b + W t) - y

Shapes    g, t (C,); W (Cout, C); b (Cout,)
Refuses   a LayerNorm over several axes; one with other readers than such layers; one whose channels reach the
          convolution in another order
Exact     yes (float64)
Source    the linearity of both layers
"""

from __future__ import annotations

import torch
from torch import Tensor, fx

from exporters.tflite.lowering.axes import MOVES, moved, positions
from mocovit_deploy.graph.edit import (
    argument,
    aten,
    constant_tensor,
    module_path,
    set_argument,
    shape_of,
)
from mocovit_deploy.graph.insert import is_linear, is_pointwise, layer_weights, only_reader, with_weights
from mocovit_deploy.passes.at_each import at_each
from mocovit_deploy.passes.result import Change, PassResult


def absorb_layer_norm(graph: fx.GraphModule) -> PassResult:
    """Return a new graph whose LayerNorms have no scale and shift where the layers behind can take them."""
    return at_each(graph, (aten.layer_norm.default,), _absorb_at)


def _absorb_at(graph: fx.GraphModule, norm: fx.Node) -> Change | None:
    scale, shift = (constant_tensor(graph, argument(norm, name)) for name in ("weight", "bias"))
    if scale is None or len(argument(norm, "normalized_shape")) != 1:
        return None
    layers = _readers(graph, norm)
    if not layers:
        return None
    for layer in layers:
        _absorb(graph, layer, scale, torch.zeros_like(scale) if shift is None else shift)
    set_argument(norm, "weight", None)
    set_argument(norm, "bias", None)
    takers = ", ".join(module_path(layer) for layer in layers)
    return Change(module_path(norm), f"scale and shift into {takers}")


def _readers(graph: fx.GraphModule, norm: fx.Node) -> list[fx.Node]:
    """The layers that read `norm`; empty if it has other readers too."""
    readers = list(norm.users)
    if readers and all(is_linear(graph, one) and argument(one, "input") is norm for one in readers):
        return readers
    where = positions(shape_of(norm), -1)
    node = only_reader(norm)
    while node is not None and node.target in MOVES:
        where, node = moved(node, where), only_reader(node)
    if node is None or not is_pointwise(graph, node) or where.ndim != 4:
        return []
    kept = torch.equal(where, positions(tuple(where.shape), 1))
    return [node] if kept else []


def _absorb(graph: fx.GraphModule, layer: fx.Node, scale: Tensor, shift: Tensor) -> None:
    found = layer_weights(graph, layer)
    assert found is not None
    weight, bias = (tensor.double() for tensor in found)
    along = scale.double().reshape(1, -1, *[1] * (weight.ndim - 2))
    offset = weight.reshape(weight.shape[0], -1) @ shift.double()
    with_weights(graph, layer, (weight * along).to(scale.dtype), (bias + offset).to(scale.dtype))
