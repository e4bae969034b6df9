"""Split attention's one projection to q, k and v into three, so that its output need not be sliced.

    before   x - Linear(W) - reshape (B, N, 3, h, d) - permute (3, B, h, N, d) - unbind - q, k, v - attention
    after    x - Linear(W[q] * s) - reshape (B, N, h, d) - permute (B, h, N, d) - q - attention (scale 1)
             x - Linear(W[k])     - reshape              - permute              - k
             x - Linear(W[v])     - reshape              - permute              - v        s = 1/sqrt(d)

The scale s goes into the weights of q if `scaled_dot_product_attention` is the only reader of q.

Shapes    W (3C, C), its rows in the order q, k, v; each part (C, C)
Refuses   a projection whose output, reshaped or permuted or not, has another reader
Exact     yes (float64)
Source    arXiv:1706.03762, section 3.2.2: the three projections are separate
"""

from __future__ import annotations

import operator

from torch import fx

from mocovit_deploy.graph.edit import (
    argument,
    aten,
    module_path,
    shape_of,
)
from mocovit_deploy.graph.insert import insert_call, is_linear, layer_like, layer_weights, only_reader
from mocovit_deploy.passes.at_each import at_each
from mocovit_deploy.passes.result import Change, PassResult

ATTENTION = aten.scaled_dot_product_attention.default


def split_projection(graph: fx.GraphModule) -> PassResult:
    """Return a new graph with three projections for each such one."""
    return at_each(graph, (aten.unbind.int,), _split_at)


def _split_at(graph: fx.GraphModule, unbind: fx.Node) -> Change | None:
    permute: fx.Node = argument(unbind, "self")
    if permute.target is not aten.permute.default or set(permute.users) != {unbind}:
        return None
    reshape: fx.Node = argument(permute, "self")
    if reshape.target is not aten.reshape.default or set(reshape.users) != {permute}:
        return None
    layer = argument(reshape, "self")
    if not is_linear(graph, layer) or set(layer.users) != {reshape}:
        return None
    order, shape = [axis % 5 for axis in argument(permute, "dims")], shape_of(reshape)
    if len(shape) != 5 or shape[2] != 3 or order[0] != 2 or argument(unbind, "dim") != 0:
        return None
    scaled = _split(graph, unbind, layer, shape, order[1:])
    into = " with 1/sqrt(d) in q's weights" if scaled else ""
    return Change(module_path(layer), f"q, k and v from three layers{into}")


def _split(
    graph: fx.GraphModule, unbind: fx.Node, layer: fx.Node, shape: tuple[int, ...], order: list[int]
) -> bool:
    """Make the three layers. Returns True if the scale is in the weights of q."""
    found = layer_weights(graph, layer)
    assert found is not None
    parts = {int(part.args[1]): part for part in unbind.users if part.target is operator.getitem}  # type: ignore[arg-type]
    scaled = _take_scale(parts.get(0))
    each = shape[3] * shape[4]
    for index, part in parts.items():
        weight, bias = (tensor[index * each : (index + 1) * each] for tensor in found)
        if index == 0 and scaled:
            weight, bias = weight * shape[4] ** -0.5, bias * shape[4] ** -0.5
        y = layer_like(graph, unbind, layer, argument(layer, "input"), weight, bias)
        y = insert_call(unbind, aten.reshape.default, (y, [*shape[:2], *shape[3:]]), layer)
        y = insert_call(unbind, aten.permute.default, (y, [axis - (axis > 2) for axis in order]), layer)
        part.replace_all_uses_with(y)
    return scaled


def _take_scale(q: fx.Node | None) -> bool:
    """Set the scale of attention to 1 if attention is the only reader of q. Returns True if it was set."""
    reader = only_reader(q) if q is not None else None
    if reader is None or reader.target is not ATTENTION or argument(reader, "query") is not q:
        return False
    if argument(reader, "scale") is not None:
        return False
    reader.kwargs = {**reader.kwargs, "scale": 1.0}
    return True
