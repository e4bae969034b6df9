"""Compute linear attention's denominator from the sum of the keys instead of a column of ones in the values.

    before   v - pad with ones - v1;  r = q (k^T v1);  y = r[..., :d] / (r[..., d:] + eps)
    after    s = sum over tokens of k;                 y^T = (v^T k) q^T / (s^T q^T + eps)

This removes the pad and the slices. XNNPACK has no pad with other numbers than zeros, so such a pad would cut
a TFLite file into partitions. The products take values with channels before tokens, as they come from the
image.

Shapes    q, k (..., N, d); v (..., N, e); y (..., N, e); s (..., d, 1)
Refuses   a padded v, or a product of it, that has another reader
Exact     yes (float64)
Source    arXiv:2205.14756, equation 2; timm's `LiteMLA` computes it by the column of ones
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import fx

from mocovit_deploy.graph.edit import (
    argument,
    aten,
    module_path,
    shape_of,
)
from mocovit_deploy.graph.insert import calls, insert_call, only_reader, supplant
from mocovit_deploy.passes.at_each import at_each
from mocovit_deploy.passes.result import Change, PassResult

PRODUCT = aten.matmul.default


def separate_denominator(graph: fx.GraphModule) -> PassResult:
    """The rewrite described above."""
    return at_each(graph, (aten.div.Tensor,), _separate_at)


def _separate_at(graph: fx.GraphModule, quotient: fx.Node) -> Change | None:
    found = _attention(quotient)
    if found is None:
        return None
    change = Change(module_path(quotient), "denominator computed from the sum of the keys")
    supplant(quotient, _separated(quotient, found))
    return change


@dataclass(frozen=True)
class _Attention:
    queries: fx.Node
    keys: fx.Node
    """(..., d, N), transposed."""
    values: fx.Node
    eps: float | None


def _separated(quotient: fx.Node, found: _Attention) -> fx.Node:
    def do(target: Any, *arguments: Any) -> fx.Node:
        return insert_call(quotient, target, arguments, quotient)

    def turned(x: fx.Node) -> fx.Node:
        return do(aten.transpose.int, x, -1, -2)

    queries = turned(found.queries)
    total = turned(do(aten.sum.dim_IntList, found.keys, [-1], True))
    above = do(PRODUCT, do(PRODUCT, turned(found.values), turned(found.keys)), queries)
    below = do(PRODUCT, total, queries)
    if found.eps is not None:
        below = do(aten.add.Tensor, below, found.eps)
    return turned(do(aten.div.Tensor, above, below))


def _attention(quotient: fx.Node) -> _Attention | None:
    above: Any = quotient.args[0]
    below: Any = quotient.args[1]
    eps = None
    if (
        isinstance(below, fx.Node)
        and below.target is aten.add.Tensor
        and isinstance(below.args[1], int | float)
    ):
        below, eps = below.args[0], float(below.args[1])
    if not (calls(above, aten.slice.Tensor) and calls(below, aten.slice.Tensor)):
        return None
    product = argument(above, "self")
    if (
        argument(below, "self") is not product
        or not calls(product, PRODUCT)
        or set(product.users) != {above, below}
    ):
        return None
    queries, inner = product.args[:2]
    if not calls(inner, PRODUCT) or only_reader(inner) is not product:
        return None
    keys, padded = inner.args[:2]
    if not calls(padded, aten.pad.default) or only_reader(padded) is not inner:
        return None
    width = shape_of(padded)[-1] - 1
    if not (_cuts(above, 0, width) and _cuts(below, width, width + 1) and _adds_a_one(padded)):
        return None
    return _Attention(queries, keys, argument(padded, "self"), eps)


def _adds_a_one(padded: fx.Node) -> bool:
    constant = argument(padded, "mode") == "constant" and argument(padded, "value") == 1
    return constant and list(argument(padded, "pad")) == [0, 1]


def _cuts(node: fx.Node, start: int, end: int) -> bool:
    """Whether the slice takes `start` to `end` of its input's last dimension."""
    shape = shape_of(argument(node, "self"))
    size = shape[-1]
    if argument(node, "dim") % len(shape) != len(shape) - 1 or argument(node, "step") != 1:
        return False
    first, last = argument(node, "start") or 0, argument(node, "end")
    first = first + size if first < 0 else first
    last = size if last is None else last + size if last < 0 else min(last, size)
    return bool((first, last) == (start, end))
