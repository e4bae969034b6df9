"""Scale linear attention so that all its values stay within half precision, for every input.

    before   y = (v k^T) q / (s q + eps)                             s = sum over tokens of k^T
    after    y = V * (m q') / max(s' q' + eps', TINY)                m = v' k'^T,  s' = a * sum of k'^T
             q' = q / Q,  k' = k * a / K,  v' = v * a / V            eps' = eps * a^2 / (Q K)

Channels come before tokens, as after `separate_denominator`. Q, K and V are the largest magnitudes, but at
least 2^-10: Q for each token, K and V for each head. a^2 = 2^14 / (d N), and a is at most 16.

y is a weighted mean of values: the scales of q and k cancel, and that of v is multiplied back. Without the
scales v k^T and its product with q are sums over all tokens, which reach 2.3e6 in timm's `efficientvit_b0` on
noise, but half precision ends at 65504. The scales cannot go into weights, because LiteRT flushes halves
below 2^-14 to zero, small weights included. With the scales m is at most 2^14 / d, both products are at most
2^14, and a denominator is flushed only if it is less than 4e-9 of its largest possible value. In that case,
and if q is zero, `max` prevents 0 / 0.

Shapes    q, k (..., d, N); v (..., e, N); s (..., 1, d); y (..., e, N); Q (..., 1, N); K, V (..., 1, 1)
Refuses   queries or keys that do not come from a ReLU, because those may cancel in the denominator
Exact     yes (float64), except tokens whose s' q' + eps' is below TINY = 2^-14
Source    arXiv:2205.14756, equation 2
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import fx

from mocovit_deploy.graph.edit import (
    aten,
    module_path,
    shape_of,
)
from mocovit_deploy.graph.insert import calls, insert_call, supplant
from mocovit_deploy.passes.at_each import at_each
from mocovit_deploy.passes.result import Change, PassResult

PRODUCT = aten.matmul.default
TRANSPOSES = (aten.transpose.int, aten.permute.default)
TINY = 2.0**-14
"""The smallest normal number of half precision."""
LEAST = 2.0**-10
"""Smaller magnitudes are not scaled up further, because a / LEAST must stay within half precision."""
MOST_FACTOR = 16.0
"""The largest a."""
LARGEST = 2.0**14
"""The largest value of a product: a quarter of the largest half."""


def bound_linear_attention(graph: fx.GraphModule) -> PassResult:
    """The rewrite described above."""
    return at_each(graph, (aten.div.Tensor,), _bound_at)


def _bound_at(graph: fx.GraphModule, quotient: fx.Node) -> Change | None:
    found = _attention(quotient)
    if found is not None:
        change = Change(module_path(quotient), "queries, keys and values scaled by their largest")
        supplant(quotient, _bounded(quotient, found))
        return change
    return None


@dataclass(frozen=True)
class _Attention:
    queries: fx.Node
    keys: fx.Node
    values: fx.Node
    eps: float


def _attention(quotient: fx.Node) -> _Attention | None:
    above: Any = quotient.args[0]
    below: Any = quotient.args[1]
    eps = 0.0
    if calls(below, aten.add.Tensor) and isinstance(below.args[1], int | float):
        below, eps = below.args[0], float(below.args[1])
    if not (calls(above, PRODUCT) and calls(below, PRODUCT)):
        return None
    inner, queries = above.args[:2]
    total = _turned_back(below.args[0])
    if below.args[1] is not queries or not calls(inner, PRODUCT):
        return None
    values, keys = inner.args[0], _turned_back(inner.args[1])
    if not calls(total, aten.sum.dim_IntList) or total.args[0] is not keys:
        return None
    if [axis % len(shape_of(keys)) for axis in total.args[1]] != [len(shape_of(keys)) - 1]:
        return None
    return _Attention(queries, keys, values, eps) if _not_negative(queries) and _not_negative(keys) else None


def _turned_back(node: Any) -> Any:
    """The node that `node` is the transpose of; None if it is not a transpose of the last two axes."""
    turned = calls(node, aten.transpose.int) and set(node.args[1:]) == {-1, -2}
    return node.args[0] if turned else None


def _not_negative(node: Any) -> bool:
    while isinstance(node, fx.Node) and node.target in TRANSPOSES:
        node = node.args[0]
    return isinstance(node, fx.Node) and node.target in (aten.relu.default, aten.relu6.default)


def _bounded(quotient: fx.Node, found: _Attention) -> fx.Node:
    def do(target: Any, *arguments: Any) -> fx.Node:
        return insert_call(quotient, target, arguments, quotient)

    def turned(x: fx.Node) -> fx.Node:
        return do(aten.transpose.int, x, -1, -2)

    def largest(x: fx.Node, axes: list[int]) -> fx.Node:
        return do(aten.clamp_min.default, do(aten.amax.default, x, axes, True), LEAST)

    def times(x: fx.Node, factor: fx.Node | float) -> fx.Node:
        return do(aten.mul.Tensor, x, factor)

    d, tokens = shape_of(found.keys)[-2:]
    a = min((LARGEST / (d * tokens)) ** 0.5, MOST_FACTOR)
    most = largest(do(aten.abs.default, found.values), [-2, -1])
    by_q = do(aten.reciprocal.default, largest(found.queries, [-2]))
    by_k = do(aten.reciprocal.default, times(largest(found.keys, [-2, -1]), 1 / a))
    by_v = do(aten.reciprocal.default, times(most, 1 / a))
    queries, keys, values = times(found.queries, by_q), times(found.keys, by_k), times(found.values, by_v)
    # A mean instead of a sum: XNNPACK's fp16 kernels lose the constant of a sum times a constant.
    total = times(do(aten.mean.dim, keys, [-1], True), a * tokens)
    below = do(PRODUCT, turned(total), queries)
    if found.eps:
        root = (found.eps * a) ** 0.5  # in both factors, because eps may be too small for half precision
        below = do(aten.add.Tensor, below, times(times(by_q, root), times(by_k, root)))
    above = do(PRODUCT, do(PRODUCT, values, turned(keys)), queries)
    share = do(aten.div.Tensor, above, do(aten.clamp_min.default, below, TINY))
    return times(share, most)
