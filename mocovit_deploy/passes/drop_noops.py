"""Drop operations that return their input.

    before   x - dropout(eval) | alias | clone | detach | cast to its own dtype | reshape to its own shape
                 | full-range slice | permute to the same order | cat of one | x*1 | x/1 | x+0 | x-0 - y
    after    x - y

Refuses   nothing; other operations are not considered
Exact     yes, bit for bit
Source    apple/coremltools rejects `alias` and full-range `slice` nodes; the others remain from eval mode
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, fx

from mocovit_deploy.graph.edit import (
    DROPOUTS,
    argument,
    aten,
    cleanup,
    module_path,
    replace,
    shape_of,
    share_graph,
    value_of,
)
from mocovit_deploy.passes.result import Change, PassResult

ALWAYS = (
    aten.alias.default,
    aten.clone.default,
    aten.contiguous.default,
    aten.detach.default,
    aten.detach_.default,
    aten.lift_fresh.default,
    aten.lift_fresh_copy.default,
)
"""In a functional graph these return their input, whatever their arguments."""

CASTS = (aten.to.dtype, aten.to.dtype_layout, aten.to.device, aten._to_copy.default, aten.type_as.default)
RESHAPES = (aten.view.default, aten.reshape.default, aten.expand.default, aten._unsafe_view.default)
REORDERS = (aten.permute.default, aten.transpose.int)


def drop_noops(graph: fx.GraphModule) -> PassResult:
    """The pass described above."""
    graph = share_graph(graph)
    changes = []
    for node in list(graph.graph.nodes):
        if node.op != "call_function":
            continue
        kept = _what_it_returns(node)
        if kept is not None:
            changes.append(Change(module_path(node), f"dropped {node.target}"))
            replace(node, kept)
    return PassResult(cleanup(graph), tuple(changes))


def _what_it_returns(node: fx.Node) -> fx.Node | None:
    """The input that `node` returns unchanged; None if `node` is not a no-op."""
    if node.target in ALWAYS:
        return _node(node.args[0])
    for targets, is_noop in _RULES:
        if node.target in targets:
            return _node(node.args[0]) if is_noop(node) else None
    if node.target is aten.cat.default:
        tensors: Any = node.args[0]
        return _node(tensors[0]) if len(tensors) == 1 else None
    return None


def _node(value: Any) -> fx.Node:
    assert isinstance(value, fx.Node)
    return value


def _same_value_kind(node: fx.Node) -> bool:
    """Whether input and output have one dtype and shape, which a scalar operand may still change."""
    before, after = value_of(_node(node.args[0])), value_of(node)
    return before.dtype == after.dtype and tuple(before.shape) == tuple(after.shape)


def _is_scalar(node: fx.Node, neutral: float) -> bool:
    other = node.args[1]
    return isinstance(other, int | float) and other == neutral and _same_value_kind(node)


def _keeps_order(node: fx.Node) -> bool:
    rank = len(shape_of(node))
    if node.target is aten.transpose.int:
        first, second = (int(a) % rank for a in node.args[1:3])  # type: ignore[arg-type]
        return first == second
    order: Any = node.args[1]
    return [axis % rank for axis in order] == list(range(rank))


def _is_full_slice(node: fx.Node) -> bool:
    return argument(node, "step") == 1 and shape_of(_node(node.args[0])) == shape_of(node)


def _same_shape(node: fx.Node) -> bool:
    return shape_of(_node(node.args[0])) == shape_of(node)


def _inactive_dropout(node: fx.Node) -> bool:
    return not argument(node, "train") or argument(node, "p") == 0


def _plain_add(node: fx.Node) -> bool:
    return argument(node, "alpha") == 1 and _is_scalar(node, 0)


def _same_dtype(node: fx.Node) -> bool:
    before, after = node.args[0], node.meta["val"]
    return isinstance(before, fx.Node) and isinstance(after, Tensor) and value_of(before).dtype == after.dtype


_RULES: tuple[tuple[tuple[Any, ...], Callable[[fx.Node], bool]], ...] = (
    (DROPOUTS, _inactive_dropout),
    (CASTS, _same_dtype),
    (RESHAPES, _same_shape),
    (REORDERS, _keeps_order),
    ((aten.slice.Tensor,), _is_full_slice),
    ((aten.mul.Tensor, aten.mul.Scalar, aten.div.Tensor, aten.div.Scalar), lambda node: _is_scalar(node, 1)),
    ((aten.add.Tensor, aten.sub.Tensor), _plain_add),
)
