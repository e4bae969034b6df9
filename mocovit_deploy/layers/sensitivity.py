"""Find layers that the outputs hardly depend on. A defect there may change outputs within the tolerance.

    x - fc1 - gelu - fc2 - mul by 1e-5 - add       fc1, gelu, fc2 and mul are a silent branch
    x ---------------------------------- add

A layer is silent if the outputs change by less than a bound when its value is replaced by zeros, or if every
layer that reads it is silent. Gradients select the layers to try: if v is the value and g the gradient of a
random combination of the outputs, sqrt(sum (g v)^2) is about the change of the outputs for random changes of
v by its own size. Layers far above the bound are not tried. This takes one forward and two backward runs, and
one forward run from each layer that is tried.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree

from mocovit_deploy.graph.edit import module_path

COMBINATIONS = 2
"""How many random combinations of the outputs gradients are taken of."""
MARGIN = 30.0
"""A layer is tried if its gradients predict a change below this many times the bound."""


@dataclass(frozen=True)
class Branch:
    """Layers that end in one value which the outputs hardly depend on."""

    operation: str
    """The last operation, in the re-parameterized graph."""
    module: str
    """The module of the last operation."""
    change: float
    """How much the outputs change if that value is zero, relative to their range."""
    members: tuple[str, ...]
    """All operations of the branch, the last one included."""
    modules: tuple[str, ...]
    """Their modules, each once, in the order of execution."""


def silent_branches(graph: fx.GraphModule, inputs: Sequence[Tensor], bound: float) -> tuple[Branch, ...]:
    """The branches of `graph` whose removal changes its outputs by less than `bound` of their range.

    `inputs` are the inputs of one run. An operation on integers is silent only if all its readers are.
    """
    values = _values(graph, inputs)
    promised = _promises(values)
    ends: dict[fx.Node, fx.Node] = {}  # by silent node, the last node of its branch
    changes: dict[fx.Node, float] = {}
    for node in reversed(graph.graph.nodes):
        if node.op != "call_function" or not node.users:
            continue
        readers = [ends[reader] for reader in node.users if reader in ends]
        if len(readers) == len(node.users):
            ends[node] = readers[0]
        elif promised.get(node, 0.0) < MARGIN * bound and _floating(values[node]):
            change = _change_without(node, graph, values)
            if change < bound:
                ends[node], changes[node] = node, change
    return tuple(
        _branch(end, changes[end], [node for node in graph.graph.nodes if ends.get(node) is end])
        for end in graph.graph.nodes
        if end in changes
    )


def _branch(end: fx.Node, change: float, members: Sequence[fx.Node]) -> Branch:
    modules = tuple(dict.fromkeys(map(module_path, members)))
    return Branch(end.name, module_path(end), change, tuple(node.name for node in members), modules)


def _values(graph: fx.GraphModule, inputs: Sequence[Tensor]) -> dict[fx.Node, Any]:
    """Every value of one run, with the graph that autograd needs."""

    class Watched(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            value = super().run_node(n)
            begins = n.op == "call_function" and _floating(value) and not value.requires_grad
            return value.detach().clone().requires_grad_() if begins else value  # integers end gradients

    run = Watched(graph, garbage_collect_values=False)
    with torch.enable_grad():
        run.run(*inputs)
    return dict(run.env)


def _outputs(values: Mapping[fx.Node, Any]) -> list[Tensor]:
    (last,) = (node for node in values if node.op == "output")
    return [leaf for leaf in pytree.tree_leaves(values[last]) if _floating(leaf)]


def _promises(values: Mapping[fx.Node, Any]) -> dict[fx.Node, float]:
    """By node, the predicted change of the outputs, relative to their range."""
    watched = {
        node: value
        for node, value in values.items()
        if node.op == "call_function" and _floating(value) and value.requires_grad
    }
    live = [output for output in _outputs(values) if output.requires_grad]
    generator = torch.Generator().manual_seed(0)
    squares = dict.fromkeys(watched, 0.0)
    for _ in range(COMBINATIONS if live else 0):
        weighted = [
            (one * torch.randn(one.shape, generator=generator)).sum() / (one.numel() ** 0.5 * _spread(one))
            for one in live
        ]
        gradients = torch.autograd.grad(
            torch.stack(weighted).sum(), list(watched.values()), retain_graph=True, allow_unused=True
        )
        for (node, value), gradient in zip(watched.items(), gradients, strict=True):
            if gradient is not None:
                squares[node] += float(((gradient * value.detach()) ** 2).sum()) / COMBINATIONS
    return {node: square**0.5 for node, square in squares.items()}


def _change_without(node: fx.Node, graph: fx.GraphModule, values: Mapping[fx.Node, Any]) -> float:
    """How much the outputs change if the value of `node` is zero, relative to their range."""
    known: dict[fx.Node, Any] = {}
    for earlier in graph.graph.nodes:
        known[earlier] = values[earlier]
        if earlier is node:
            break
    known[node] = torch.zeros_like(values[node])
    run = fx.Interpreter(graph, garbage_collect_values=False)
    with torch.no_grad():
        run.run(initial_env=known)
    pairs = zip(_outputs(run.env), _outputs(values), strict=True)
    changes = [float((new - old.detach()).abs().max()) / _spread(old) for new, old in pairs]
    return max((math.inf if math.isnan(change) else change for change in changes), default=0.0)


def _floating(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.numel() > 0


def _spread(output: Tensor) -> float:
    exact = output.detach()
    return float(exact.max() - exact.min()) or float(exact.abs().max()) or 1.0
