"""Find sums in a graph, in all forms: `a + b - c`, `sum([a, b])`, `torch.stack([a, b]).sum(0)`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor, fx

from mocovit_deploy.graph.edit import argument, aten, shape_of, value_of


class Term(NamedTuple):
    """One term of a sum, added or subtracted."""

    node: fx.Node
    sign: int
    """1 or -1."""


@dataclass(frozen=True)
class Sum:
    """The terms of a sum, in order, and the nodes that add them."""

    root: fx.Node
    """The node whose value is the sum."""
    terms: tuple[Term, ...]
    """A term that is added twice is listed twice."""
    inner: frozenset[fx.Node]
    """The nodes that add, the root included. Only the sum itself reads the others."""


def roots_of(graph: fx.GraphModule) -> list[fx.Node]:
    """The root of every sum that is not part of a larger one, in the order of execution."""
    roots: list[fx.Node] = []
    parts: set[fx.Node] = set()
    for node in reversed(graph.graph.nodes):
        if node not in parts and operands(node) is not None:
            parts |= sum_at(node).inner
            roots.append(node)
    return roots[::-1]


def sum_at(root: fx.Node) -> Sum:
    """The whole sum that ends in `root`."""
    terms, inner = _flatten(root)
    return Sum(root, tuple(terms), frozenset(inner))


def operands(node: fx.Node) -> list[Term] | None:
    """The terms of one addition whose operands have its own shape and dtype; None for any other node."""
    added: list[Any]
    signs = [1, 1]
    if node.target in (aten.add.Tensor, aten.sub.Tensor):
        added = list(node.args[:2])
        if argument(node, "alpha") != 1:
            return None
        if node.target is aten.sub.Tensor:
            signs = [1, -1]
    elif node.target is aten.sum.dim_IntList:
        stack: Any = node.args[0]
        if stack.target is not aten.stack.default or list(stack.users) != [node]:
            return None
        axes, rank = argument(node, "dim") or [], len(shape_of(stack))
        if [axis % rank for axis in axes] != [argument(stack, "dim") % rank] or argument(node, "keepdim"):
            return None
        added = list(stack.args[0])
        signs = [1] * len(added)
    else:
        return None
    result = value_of(node)
    for operand in added:
        if not isinstance(operand, fx.Node) or not isinstance(operand.meta.get("val"), Tensor):
            return None  # a number, or a size
        if shape_of(operand) != shape_of(node) or value_of(operand).dtype != result.dtype:
            return None
    return [Term(operand, sign) for operand, sign in zip(added, signs, strict=True)]


def _flatten(node: fx.Node) -> tuple[list[Term], set[fx.Node]]:
    terms: list[Term] = []
    inner = {node}
    reader = node
    if node.target is aten.sum.dim_IntList and isinstance(node.args[0], fx.Node):
        reader = node.args[0]
        inner.add(reader)
    for operand, sign in operands(node) or ():
        if operands(operand) is not None and list(operand.users) == [reader]:
            deeper_terms, deeper = _flatten(operand)
            terms += [Term(term, sign * inner_sign) for term, inner_sign in deeper_terms]
            inner |= deeper
        else:
            terms.append(Term(operand, sign))
    return terms, inner
