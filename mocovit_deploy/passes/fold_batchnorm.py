"""Fold BatchNorm into the convolution or linear layer before it.

    before   x - Conv(W, b) - BatchNorm(g, beta, mu, var) - y
    after    x - Conv(W*s, (b - mu)*s + beta) - y             s = g / sqrt(var + eps)

Both halves of a Ghost module are this case: each of its convolutions has its own BatchNorm.

Shapes    W (Cout, Cin/groups, kH, kW); g, beta, mu, var, s (Cout,)
Refuses   a convolution that is called twice, or whose output something else reads too; BatchNorm in
          training mode or without running statistics; weights that are computed; a result that overflows
Exact     yes (float64)
Source    arXiv:1502.03167, section 3.1
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx

from mocovit_deploy.graph import (
    BATCH_NORMS,
    CONVOLUTIONS,
    LINEARS,
    TRANSPOSED_CONVOLUTIONS,
    add_parameter,
    argument,
    cleanup,
    constant,
    copy_graph,
    count_readers,
    module_path,
    nodes_calling,
    replace,
    set_argument,
    set_parameter,
    shape_of,
)
from mocovit_deploy.passes import affine
from mocovit_deploy.passes.result import Change, PassResult, Refusal

LAYERS = CONVOLUTIONS + TRANSPOSED_CONVOLUTIONS + LINEARS


def fold_batchnorm(graph: fx.GraphModule) -> PassResult:
    graph = copy_graph(graph)
    readers = count_readers(graph)
    changes, refusals = [], []
    for norm in nodes_calling(graph, *BATCH_NORMS):
        where = module_path(norm)
        why = why_not(graph, norm, readers)
        if why is not None:
            refusals.append(Refusal(where, why))
            continue
        layer = norm.args[0]
        assert isinstance(layer, fx.Node)
        changes.append(Change(where, f"folded into {module_path(layer)}"))
        _fold(graph, layer, norm)
    return PassResult(cleanup(graph), tuple(changes), tuple(refusals))


def why_not(graph: fx.GraphModule, norm: fx.Node, readers: Mapping[fx.Node, int]) -> str | None:
    """Why this BatchNorm cannot be folded into what comes before it, or None where it can."""
    return _why_not_constant(graph, norm) or _why_not_into_producer(graph, norm, readers)


def _why_not_constant(graph: fx.GraphModule, norm: fx.Node) -> str | None:
    """Why this BatchNorm is not a fixed affine map."""
    if argument(norm, "training"):
        return "in training mode: it normalises by the statistics of the batch it is given"
    if argument(norm, "running_mean") is None or argument(norm, "running_var") is None:
        return "has no running statistics (track_running_stats=False)"
    for name in ("running_mean", "running_var", "weight", "bias"):
        value = argument(norm, name)
        if value is not None and constant(graph, value) is None:
            return f"its {name} is computed by the network, not stored"
    return None


def _why_not_into_producer(
    graph: fx.GraphModule, norm: fx.Node, readers: Mapping[fx.Node, int]
) -> str | None:
    layer = norm.args[0]
    assert isinstance(layer, fx.Node)
    if layer.target not in LAYERS:
        what = (
            "the network's input" if layer.op == "placeholder" else f"{layer.target} of {module_path(layer)}"
        )
        return f"follows {what}, not a convolution or linear layer"
    if layer.target in LINEARS and len(shape_of(layer)) != 2:
        return f"normalises axis 1, which is not the output channel axis of {module_path(layer)}"
    others = sorted({module_path(user) for user in layer.users if user is not norm})
    if others:
        return f"the output of {module_path(layer)} is also read by {', '.join(others)}"
    for name in ("weight", "bias"):
        value = argument(layer, name)
        if value is None:
            continue
        if constant(graph, value) is None:
            return f"the {name} of {module_path(layer)} is computed by the network, not stored"
        if readers.get(value, 1) > 1:
            return f"{module_path(layer)} is called more than once, or shares its {name}"
    if not all(bool(t.isfinite().all()) for t in _folded(graph, layer, norm)):
        return f"folding it into {module_path(layer)} would overflow: its variance is too close to zero"
    return None


def _folded(graph: fx.GraphModule, layer: fx.Node, norm: fx.Node) -> tuple[Tensor, Tensor]:
    """Weight and bias of the layer that does both."""

    def stored(node: fx.Node, name: str) -> Any:
        return constant(graph, argument(node, name))

    transposed = layer.target in TRANSPOSED_CONVOLUTIONS
    with torch.no_grad():
        return affine.after_layer(
            stored(layer, "weight"),
            stored(layer, "bias"),
            affine.of_batchnorm(
                stored(norm, "running_mean"),
                stored(norm, "running_var"),
                stored(norm, "weight"),
                stored(norm, "bias"),
                argument(norm, "eps"),
            ),
            transposed_groups=argument(layer, "groups") if transposed else None,
        )


def _fold(graph: fx.GraphModule, layer: fx.Node, norm: fx.Node) -> None:
    weight, bias = _folded(graph, layer, norm)
    weight_node, bias_node = argument(layer, "weight"), argument(layer, "bias")
    set_parameter(graph, weight_node, weight)
    if bias_node is None:
        set_argument(layer, "bias", add_parameter(graph, weight_node, "bias", bias))
    else:
        set_parameter(graph, bias_node, bias)
    replace(norm, layer)
