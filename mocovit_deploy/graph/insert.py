"""Insert new operations and constants into a graph, with shape, dtype and module path recorded for each."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn

from mocovit_deploy.graph.edit import (
    CONVOLUTIONS,
    argument,
    aten,
    constant_tensor,
    module_path,
    shape_of,
    value_of,
)


def insert_call(
    before: fx.Node, target: Any, arguments: tuple[Any, ...], like: fx.Node, **options: Any
) -> fx.Node:
    """A new call of `target`, placed before `before`, with the module path of `like`.

    Its shape and dtype are computed by running `target` on tensors without data.
    """
    with before.graph.inserting_before(before):
        node = before.graph.call_function(target, arguments, options)
    node.meta = {key: value for key, value in like.meta.items() if key != "val"}

    inputs: list[Any] = [one.meta["val"] for one in node.all_input_nodes]
    bare = all(isinstance(size, int) for value in inputs for size in value.shape)

    def recorded(one: fx.Node) -> Any:
        value = one.meta["val"]
        return torch.empty(value.shape, dtype=value.dtype, device="meta") if bare else value

    with torch.no_grad():
        node.meta["val"] = target(*fx.node.map_arg(arguments, recorded), **fx.node.map_arg(options, recorded))
    return node


def store(graph: fx.GraphModule, before: fx.Node, name: str, value: Tensor, like: fx.Node) -> fx.Node:
    """Store `value` as a new parameter of the graph; returns the node that reads it, placed before `before`.

    The parameter is called `name`, followed by a number if that name is taken. Its dtype is recorded as that
    of `like`, also on the float64 copies that passes run on.
    """
    fresh, count = name, 2
    while hasattr(graph, fresh):
        fresh, count = f"{name}_{count}", count + 1
    graph.register_parameter(fresh, nn.Parameter(value.detach().clone().contiguous(), requires_grad=False))
    with before.graph.inserting_before(before):
        node = before.graph.get_attr(fresh)
    node.meta = {key: kept for key, kept in like.meta.items() if key != "val"}
    node.meta["val"] = torch.empty(value.shape, dtype=value_of(like).dtype, device="meta")
    return node


def drop(node: fx.Node) -> None:
    """Erase `node`, which nothing reads, and the operations and constants that only it read."""
    read = node.all_input_nodes
    node.graph.erase_node(node)
    for one in read:
        if not one.users and one.op in ("call_function", "get_attr"):
            drop(one)


def supplant(node: fx.Node, replacement: fx.Node) -> None:
    """Let every user of `node` read `replacement` instead; erase `node` and what only it read."""
    node.replace_all_uses_with(replacement)
    drop(node)


def layer_weights(graph: fx.GraphModule, layer: fx.Node) -> tuple[Tensor, Tensor] | None:
    """The weight (Cout, ...) and the bias (Cout,) of a convolution or linear layer; zeros without bias.

    None if the weight or the bias is computed.
    """
    weight, bias = constant_tensor(graph, argument(layer, "weight")), argument(layer, "bias")
    if weight is None or (bias is not None and constant_tensor(graph, bias) is None):
        return None
    stored = constant_tensor(graph, bias)
    return weight.detach(), weight.new_zeros(weight.shape[0]) if stored is None else stored.detach()


def layer_like(
    graph: fx.GraphModule, before: fx.Node, like: fx.Node, x: fx.Node, weight: Tensor, bias: Tensor | None
) -> fx.Node:
    """A copy of the layer `like` with other weights and the input `x`; stride, padding and dilation stay.

    A convolution with one input channel for each group gets as many groups as `weight` has filters.
    """
    name = module_path(like).replace(".", "_").strip("()") or "layer"
    stored = [store(graph, before, f"{name}_weight", weight, like)]
    stored.append(None if bias is None else store(graph, before, f"{name}_bias", bias, like))  # type: ignore[arg-type]
    if like.target not in CONVOLUTIONS:
        return insert_call(before, like.target, (x, *stored), like)
    groups = argument(like, "groups")
    if groups > 1 and weight.shape[1] == 1:
        groups = weight.shape[0]
    how = [argument(like, name) for name in ("stride", "padding", "dilation")]
    return insert_call(before, like.target, (x, *stored, *how, groups), like)


def with_weights(graph: fx.GraphModule, layer: fx.Node, weight: Tensor, bias: Tensor | None) -> fx.Node:
    """Replace `layer` by a copy with other weights; returns the copy."""
    new = layer_like(graph, layer, layer, argument(layer, "input"), weight, bias)
    supplant(layer, new)
    return new


def calls(node: Any, target: Any) -> bool:
    """Whether `node` is a node of a graph that calls `target`."""
    return isinstance(node, fx.Node) and node.target is target


def is_pointwise(graph: fx.GraphModule, node: Any) -> bool:
    """Whether `node` is a dense 1x1 convolution without stride or padding, with constant weights."""
    if not is_convolution(graph, node):
        return False
    dense = argument(node, "groups") == 1 and set(argument(node, "stride")) == {1}
    return dense and _kernel(node)[2:] == (1, 1) and not _pads(node)


def is_depthwise(graph: fx.GraphModule, node: Any) -> bool:
    """Whether `node` is a convolution with constant weights and one filter for each channel."""
    if not is_convolution(graph, node):
        return False
    filters, each = _kernel(node)[:2]
    return bool(each == 1 and filters == argument(node, "groups") == shape_of(argument(node, "input"))[1] > 1)


def is_convolution(graph: fx.GraphModule, node: Any) -> bool:
    """Whether `node` is a two-dimensional convolution with constant weights."""
    return calls(node, aten.conv2d.default) and layer_weights(graph, node) is not None


def is_linear(graph: fx.GraphModule, node: Any) -> bool:
    """Whether `node` is a linear layer with constant weights."""
    return calls(node, aten.linear.default) and layer_weights(graph, node) is not None


def only_reader(node: fx.Node) -> fx.Node | None:
    """The only node that reads `node`; None if there are several or none."""
    readers = list(node.users)
    return readers[0] if len(readers) == 1 and readers[0].op == "call_function" else None


def _kernel(node: fx.Node) -> tuple[int, ...]:
    return shape_of(argument(node, "weight"))


def _pads(node: fx.Node) -> bool:
    return any(argument(node, "padding"))
