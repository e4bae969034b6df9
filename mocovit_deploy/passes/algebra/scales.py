"""Find which tensors can be stored scaled, and by how much, so that `fold_scale` can drop a multiplication.

Suppose every tensor v of the graph were stored as sigma(v) * v instead of v. Operations relate the sigmas:

    y = reshape(x), relu(x), mean(x), max_pool(x), ...   sigma(y) = sigma(x)          (sigma > 0)
    y = a + b, concat(a, b)                              sigma(y) = sigma(a) = sigma(b)
    y = a @ b, a * b                                     sigma(y) = sigma(a) * sigma(b)
    y = conv(x), linear(x)                               no relation: the weights take sigma(y) / sigma(x)
    y = softmax(x), other operations, inputs and outputs sigma = 1

To drop a multiplication y = c * x needs sigma(x) = c * sigma(y). With sigma = c**q this is a linear system in
the exponents q, which is solved exactly in rational numbers. It stays small, because it ends at layers.
Example: in attention with Q = K = V = t, c * (t^T t) equals (sqrt(c) t)^T (sqrt(c) t), so q(t) = 1/2. Any
other reader of t, such as a convolution, takes c**-1/2 into its weights.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from torch import Tensor, fx

from mocovit_deploy.graph.edit import (
    LAYERS,
    argument,
    aten,
    constant_tensor,
    count_readers,
    module_path,
    value_of,
)

SAME = (
    aten.view.default,
    aten.reshape.default,
    aten.flatten.using_ints,
    aten.unflatten.int,
    aten.permute.default,
    aten.transpose.int,
    aten.squeeze.dim,
    aten.squeeze.dims,
    aten.unsqueeze.default,
    aten.expand.default,
    aten.slice.Tensor,
    aten.select.int,
    aten.contiguous.default,
    aten.clone.default,
    aten.cat.default,
    aten.relu.default,
    aten.leaky_relu.default,
    aten.mean.dim,
    aten.sum.dim_IntList,
    aten.avg_pool2d.default,
    aten.adaptive_avg_pool2d.default,
    aten.max_pool2d.default,
    aten.neg.default,
    aten.chunk.default,
    aten.split.Tensor,
    aten.split_with_sizes.default,
    aten.unbind.int,
    operator.getitem,
)
"""Operations whose output has the scale of its input."""
PRODUCTS = (aten.matmul.default, aten.bmm.default)
SUMS = (aten.add.Tensor, aten.sub.Tensor)
FACTORS = (aten.mul.Tensor, aten.mul.Scalar, aten.div.Tensor, aten.div.Scalar)


def constant_factor(graph: fx.GraphModule, node: fx.Node) -> float | None:
    """The c of a multiplication y = c * x (or division y = x / (1/c)) by one number; None for other nodes."""
    if node.target not in FACTORS or not isinstance(node.args[0], fx.Node):
        return None
    other: Any = node.args[1]
    stored = constant_tensor(graph, other)
    if stored is not None and stored.numel() == 1 and constant_tensor(graph, node.args[0]) is None:
        other = stored.item()
    if not isinstance(other, int | float) or not _like(node, node.args[0]):
        return None
    if node.target in FACTORS[2:]:
        return 1 / other if other else float("inf")
    return float(other)


def _is_tensor(node: fx.Node) -> bool:
    """Whether a node is a tensor or several, and not a size."""
    return isinstance(node.meta.get("val"), Tensor | list | tuple) or node.op == "get_attr"


def _like(node: fx.Node, source: fx.Node) -> bool:
    """Whether both have one shape and floating-point dtype, which a factor can change by broadcasting."""
    after, before = value_of(node), value_of(source)
    return after.shape == before.shape and after.dtype == before.dtype and after.is_floating_point()


@dataclass
class Region:
    """All tensors whose scales depend on each other around one multiplication, and their equations."""

    readers: Mapping[fx.Node, int]
    tensors: set[fx.Node] = field(default_factory=set)
    laws: list[tuple[dict[fx.Node, int], int]] = field(default_factory=list)
    """Equations: the coefficients of the exponents, and the right-hand side."""
    fixed_by: list[str] = field(default_factory=list)
    """The operations that fix the scale of some tensor of the region at 1."""

    def owns(self, read: fx.Node) -> bool:
        """Whether this stored tensor has a single reader, so that it may be changed."""
        return self.readers.get(read, 1) == 1


def region_of(graph: fx.GraphModule, factor: fx.Node) -> Region:
    """The tensors whose scales depend on the multiplication `factor`, with the equations for dropping it."""
    region, seen = Region(count_readers(graph)), set()
    todo: list[fx.Node] = [factor]
    while todo:
        tensor = todo.pop()
        if tensor in region.tensors:
            continue
        region.tensors.add(tensor)
        for operation in (tensor, *tensor.users):
            if operation not in seen:
                seen.add(operation)
                todo += _tie(graph, region, operation, factor)
            if _holds(graph, region, operation, tensor):
                region.laws.append(({tensor: 1}, 0))
                region.fixed_by.append(f"{_name(operation)} of {module_path(operation)}")
    return region


def _tie(graph: fx.GraphModule, region: Region, operation: fx.Node, factor: fx.Node) -> list[fx.Node]:
    """Add the equation of one operation; returns the tensors that it brings into the region."""
    first: Any = operation.args[0] if operation.args else None
    if operation is factor:
        region.laws.append(({first: 1, factor: -1}, 1))
        return [first]
    kind = _kind(graph, operation)
    inputs = [first] if kind == "factor" else [n for n in operation.all_input_nodes if _is_tensor(n)]
    if kind in ("same", "factor"):
        region.laws += [({operation: 1, source: -1}, 0) for source in inputs]
        return [operation, *inputs]
    if kind == "product":
        law = {operation: 1}
        for source in (a for a in operation.args if isinstance(a, fx.Node)):
            law[source] = law.get(source, 0) - 1
        region.laws.append((law, 0))
        return [operation, *inputs]
    return []


def _kind(graph: fx.GraphModule, operation: fx.Node) -> str:
    if operation.target in LAYERS:
        return "layer"
    if operation.target in SAME:
        return "same"
    if operation.target in PRODUCTS:
        return "product"
    if constant_factor(graph, operation) is not None:
        return "factor"
    if operation.target in SUMS + FACTORS[:1] and all(isinstance(a, fx.Node) for a in operation.args[:2]):
        return "same" if operation.target in SUMS else "product"
    return "other"


def _holds(graph: fx.GraphModule, region: Region, operation: fx.Node, tensor: fx.Node) -> bool:
    """Whether `operation`, which makes or reads `tensor`, fixes its scale at 1."""
    if operation.op == "get_attr":
        return not region.owns(operation)
    kind = _kind(graph, operation)
    if kind == "layer":
        data = argument(operation, "input")
        parameters = [argument(operation, "weight"), argument(operation, "bias")]
        stored = all(
            p is None or (constant_tensor(graph, p) is not None and region.owns(p)) for p in parameters
        )
        return not stored or tensor not in (operation, data) or tensor in parameters
    return kind == "other"


def _name(operation: fx.Node) -> str:
    return {"placeholder": "the input", "output": "the output"}.get(operation.op, str(operation.target))


def solve(region: Region) -> dict[fx.Node, Fraction] | None:
    """Exponents q that satisfy every equation; None if there are none. Free exponents of later tensors are 0.

    This is Gaussian elimination over the rationals. It eliminates the earliest tensor of each equation, so
    that the weights *before* the multiplication take the factor if there is a choice.
    """
    order = {node: i for i, node in enumerate(next(iter(region.tensors)).graph.nodes)}
    solved: dict[fx.Node, tuple[dict[fx.Node, Fraction], Fraction]] = {}

    def substitute(
        terms: dict[fx.Node, Fraction], total: Fraction
    ) -> tuple[dict[fx.Node, Fraction], Fraction]:
        while known := next((node for node in terms if node in solved), None):
            weight = terms.pop(known)
            others, value = solved[known]
            total -= weight * value
            for node, coefficient in others.items():
                terms[node] = terms.get(node, Fraction(0)) + weight * coefficient
        return {node: value for node, value in terms.items() if value}, total

    for law, right in region.laws:
        terms, total = substitute({node: Fraction(value) for node, value in law.items()}, Fraction(right))
        if not terms:
            if total:
                return None
            continue
        first = min(terms, key=order.__getitem__)
        pivot = terms.pop(first)
        solved[first] = ({node: -value / pivot for node, value in terms.items()}, total / pivot)
    return {node: substitute({node: Fraction(1)}, Fraction(0))[1] * -1 for node in region.tensors}
