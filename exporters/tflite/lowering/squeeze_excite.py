"""Matching a squeeze-and-excite block: a gate for each channel, computed from the means of all channels."""

from __future__ import annotations

from dataclasses import dataclass

from torch import fx

from mocovit_deploy.graph.edit import aten, shape_of
from mocovit_deploy.graph.insert import is_pointwise, only_reader

MEANS = (aten.mean.dim, aten.adaptive_avg_pool2d.default, aten.avg_pool2d.default)
GATES = (aten.hardsigmoid.default, aten.sigmoid.default)
PRODUCT = aten.mul.Tensor


@dataclass(frozen=True)
class SqueezeExciteMatch:
    """x * gate(expand(act(reduce(mean(x)))))"""

    mean: fx.Node
    expand: fx.Node
    gate: fx.Node
    product: fx.Node


def squeeze_excite(graph: fx.GraphModule, x: fx.Node) -> SqueezeExciteMatch | None:
    """The block that reads `x`; None if there is none, or if `x` has other readers."""
    readers = list(x.users)
    mean = next((one for one in readers if one.target in MEANS and _is_global(one, x)), None)
    product = next((one for one in readers if one.target is PRODUCT), None)
    if len(readers) != 2 or mean is None or product is None:
        return None
    expand, gate = _last_two(mean, product)
    if expand is None or gate is None or gate.target not in GATES or not is_pointwise(graph, expand):
        return None
    return SqueezeExciteMatch(mean, expand, gate, product)


def _is_global(mean: fx.Node, x: fx.Node) -> bool:
    return shape_of(mean) == (*shape_of(x)[:2], 1, 1)


def _last_two(mean: fx.Node, product: fx.Node) -> tuple[fx.Node | None, fx.Node | None]:
    """The last two operations between `mean` and `product`; None if any operation there has two readers."""
    before: fx.Node | None = None
    node = mean
    while (reader := only_reader(node)) is not None:
        if reader is product:
            return before, node
        before, node = node, reader
    return None, None
