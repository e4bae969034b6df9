"""Fold multiplications by a constant, such as attention's 1/sqrt(d), into the weights around them.

    before   x - Conv(W, b) - t;   softmax((t^T t) * c) ... t ... Conv(R, r)(t)        c = 1/sqrt(d)
    after    x - Conv(W*c^(1/2), b*c^(1/2)) - t';   softmax(t'^T t') ... Conv(R*c^(-1/2), r)(t')

    before   x - Linear(W, b) - * c - y              after    x - Linear(W*c, b*c) - y
    before   image - * 1/255 - Conv(W, b) - y        after    image - Conv(W/255, b) - y

If there is a choice, the weights before the multiplication take the factor; `scales` explains how.

Shapes    c is one positive number; no shape changes
Refuses   a factor that is zero, negative or not finite; a factor that no weights can take, because operations
          on both sides fix the scale (a softmax's output, a sigmoid, the network's input)
Exact     yes (float64)
Source    the linearity of the operations listed in `scales`; ReLU is positively homogeneous
"""

from __future__ import annotations

import math
from fractions import Fraction

import torch
from torch import fx

from mocovit_deploy.graph.edit import (
    LAYERS,
    argument,
    cleanup,
    constant_tensor,
    module_path,
    replace,
    set_parameter,
    share_graph,
)
from mocovit_deploy.passes.algebra.scales import Region, constant_factor, region_of, solve
from mocovit_deploy.passes.result import Change, PassResult, Refusal


def fold_scale(graph: fx.GraphModule) -> PassResult:
    """The pass described above."""
    graph = share_graph(graph)
    changes, refusals = [], []
    for node in list(graph.graph.nodes):
        factor = constant_factor(graph, node)
        if factor is None:
            continue
        where = module_path(node)
        if not (math.isfinite(factor) and factor > 0):
            refusals.append(Refusal(where, f"the factor {factor:g} is not a positive number"))
            continue
        region = region_of(graph, node)
        exponents = solve(region)
        if exponents is None:
            holders = ", ".join(dict.fromkeys(region.fixed_by))
            refusals.append(
                Refusal(where, f"no weights can take the factor {factor:g}: the scale is fixed by {holders}")
            )
            continue
        touched = _rescale(graph, region, exponents, factor)
        changes.append(Change(where, f"factor {factor:g} into {', '.join(touched)}"))
        source = node.args[0]
        assert isinstance(source, fx.Node)
        replace(node, source)
    return PassResult(cleanup(graph), tuple(changes), tuple(refusals))


def _rescale(
    graph: fx.GraphModule, region: Region, exponents: dict[fx.Node, Fraction], factor: float
) -> list[str]:
    """Scale the weights of every layer at the border of the region; returns the names of all scaled."""

    def scale(tensor: object) -> float:
        return float(factor ** exponents.get(tensor, Fraction(0)))  # type: ignore[call-overload]

    touched = []
    for node in graph.graph.nodes:
        if node.target in LAYERS:
            before, after = scale(argument(node, "input")), scale(node)
            if before == after == 1:
                continue
            _multiply(graph, argument(node, "weight"), after / before)
            _multiply(graph, argument(node, "bias"), after)
            touched.append(module_path(node))
        elif node.op == "get_attr" and scale(node) != 1:
            _multiply(graph, node, scale(node))
            touched.append(str(node.target))
    return touched


def _multiply(graph: fx.GraphModule, read: object, factor: float) -> None:
    stored = constant_tensor(graph, read)
    if stored is None or factor == 1:
        return
    assert isinstance(read, fx.Node)
    with torch.no_grad():
        scaled = (stored.double() * factor).to(stored.dtype)
    set_parameter(graph, read, scaled)
