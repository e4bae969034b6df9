"""Read and edit the one intermediate form, a flat functional `fx.GraphModule` of ATen operations.

These are the helpers that passes are written with. None of them decides what to change.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx._lazy_graph_module import _LazyGraphModule

from mocovit_deploy.artifacts.marks import mark, marks_in
from mocovit_deploy.artifacts.operator import ROOT_MODULE

aten = torch.ops.aten

CONVOLUTIONS = (
    aten.conv1d.default,
    aten.conv2d.default,
    aten.conv1d.padding,
    aten.conv2d.padding,
    aten.convolution.default,
)
TRANSPOSED_CONVOLUTIONS = (aten.conv_transpose1d.default, aten.conv_transpose2d.input)
LINEARS = (aten.linear.default,)
LAYERS = CONVOLUTIONS + TRANSPOSED_CONVOLUTIONS + LINEARS
"""Operations that have a weight for each pair of channels, into which a scale folds."""
BATCH_NORMS = (aten.batch_norm.default,)
DROPOUTS = (aten.dropout.default, aten.feature_dropout.default)


def module_path(node: fx.Node) -> str:
    """The dotted path of the torch module that computed `node`, as in "blocks.3.down.cheap.1"."""
    stack = node.meta.get("nn_module_stack")
    if not stack:
        return node.name
    path = str(list(stack.values())[-1][0])
    return path or ROOT_MODULE


def marked(graph: fx.GraphModule) -> fx.GraphModule:
    """A graph on the same weights whose nodes carry their mark as the type of their module.

    torch.export carries `nn_module_stack` through every retrace, and converters write the module types in it
    into their files. Here the stack has one level, whose type is the mark.
    """
    copied = fx.Graph()
    values: dict[fx.Node, fx.Node] = {}
    for node in graph.graph.nodes:
        values[node] = copied.node_copy(node, lambda old: values[old])
        if node.op == "call_function":
            stack = node.meta.get("nn_module_stack")
            path = str(list(stack.values())[-1][0]) if stack else ""
            values[node].meta["nn_module_stack"] = {"": ("", mark(path, node.name))}
    copied.set_codegen(graph.graph._codegen)
    return fx.GraphModule(graph, copied).eval()


def mark_of(node: fx.Node) -> str:
    """The mark that `marked` gave to the node that `node` was traced from; empty if there is none."""
    kinds = [kind for _, kind in node.meta.get("nn_module_stack", {}).values() if isinstance(kind, str)]
    return next((mark for kind in kinds for mark in marks_in(kind)), "")


def value_of(node: fx.Node) -> Tensor:
    """The fake tensor that torch.export recorded for `node`: its shape and dtype, no data."""
    value = node.meta["val"]
    assert isinstance(value, Tensor)
    return value


def shape_of(node: fx.Node) -> tuple[int, ...]:
    """Sizes of a node's value; a dimension left to the caller is a `torch.SymInt`."""
    return tuple(value_of(node).shape)


def nodes_calling(graph: fx.GraphModule, *targets: Any) -> Iterator[fx.Node]:
    """The nodes that call one of `targets`, in the order they run; safe to edit the graph meanwhile."""
    for node in list(graph.graph.nodes):
        if node.op == "call_function" and node.target in targets:
            yield node


def count_calls(graph: fx.GraphModule, *targets: Any) -> int:
    """The number of nodes that call one of `targets`."""
    return sum(1 for _ in nodes_calling(graph, *targets))


def argument(node: fx.Node, name: str) -> Any:
    """An argument of an ATen call by its name in the schema; its default if it is not passed.

    Raises `KeyError` if the operation has no such argument.
    """
    schema = node.target._schema  # type: ignore[union-attr]
    for position, formal in enumerate(schema.arguments):
        if formal.name == name:
            if position < len(node.args):
                return node.args[position]
            return node.kwargs.get(name, formal.default_value)
    raise KeyError(f"{node.target} has no argument {name!r}")


def argument_or(node: fx.Node, name: str, default: Any) -> Any:
    """An argument of an ATen call, or `default` if the operation has no argument of that name."""
    try:
        return argument(node, name)
    except KeyError:
        return default


def attribute(graph: fx.GraphModule, target: str) -> Tensor:
    """The parameter or buffer that a dotted name stands for."""
    value: Any = graph
    for name in target.split("."):
        value = getattr(value, name)
    assert isinstance(value, Tensor)
    return value


def constant_tensor(graph: fx.GraphModule, node: Any) -> Tensor | None:
    """The tensor behind a `get_attr` node, or None if the node is not one."""
    if isinstance(node, fx.Node) and node.op == "get_attr":
        return attribute(graph, str(node.target))
    return None


def count_readers(graph: fx.GraphModule) -> dict[fx.Node, int]:
    """For each `get_attr` node, the number of nodes that use its tensor under any of the tensor's names."""
    stored = {node: attribute(graph, str(node.target)) for node in graph.graph.nodes if node.op == "get_attr"}
    users: dict[int, int] = {}
    for node, tensor in stored.items():
        users[tensor.data_ptr()] = users.get(tensor.data_ptr(), 0) + len(node.users)
    return {node: users[tensor.data_ptr()] for node, tensor in stored.items()}


def returns_view(node: fx.Node) -> bool:
    """Whether this operation returns a view of its input."""
    schema = getattr(node.target, "_schema", None)
    return bool(schema and any(r.alias_info and not r.alias_info.is_write for r in schema.returns))


def set_argument(node: fx.Node, name: str, value: Any) -> None:
    """Set an argument of an ATen call by its name in the schema."""
    schema = node.target._schema  # type: ignore[union-attr]
    position = next(i for i, formal in enumerate(schema.arguments) if formal.name == name)
    if position < len(node.args):
        node.update_arg(position, value)
    else:
        node.update_kwarg(name, value)


def set_parameter(graph: fx.GraphModule, node: fx.Node, value: Tensor) -> None:
    """Give the parameter or buffer behind a `get_attr` node a new value; its name and kind stay.

    The old tensor is not changed, because other graphs may share it.
    """
    owner_path, _, name = str(node.target).rpartition(".")
    old = attribute(graph, str(node.target))
    if isinstance(old, nn.Parameter):
        value = nn.Parameter(value, requires_grad=old.requires_grad)
    setattr(graph.get_submodule(owner_path), name, value)
    recorded = node.meta.get("val")
    if recorded is not None and recorded.shape != value.shape:  # a new fake tensor costs half a millisecond
        node.meta["val"] = recorded.new_empty(value.shape)


def add_parameter(graph: fx.GraphModule, beside: fx.Node, name: str, value: Tensor) -> fx.Node:
    """Register `value` in the module that owns the parameter read by `beside`; returns its node.

    The parameter is called `name`, followed by a number if that name is taken.
    """
    owner_path = str(beside.target).rpartition(".")[0]
    owner, fresh, count = graph.get_submodule(owner_path), name, 2
    while hasattr(owner, fresh):
        fresh, count = f"{name}_{count}", count + 1
    trainable = attribute(graph, str(beside.target)).requires_grad
    owner.register_parameter(fresh, nn.Parameter(value, requires_grad=trainable))
    with graph.graph.inserting_after(beside):
        node = graph.graph.get_attr(f"{owner_path}.{fresh}" if owner_path else fresh)
    node.meta = dict(beside.meta)
    if "val" in beside.meta:
        node.meta["val"] = beside.meta["val"].new_empty(value.shape)
    return node


def visit(
    graph: fx.GraphModule, inputs: Sequence[Tensor], look: Callable[[fx.Node, Tensor], Any]
) -> dict[str, Any]:
    """Run a graph and call `look` on every floating-point tensor that it computes.

    Returns the results of `look` by node name.
    """
    seen: dict[str, Any] = {}

    class Looking(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            value = super().run_node(n)
            if n.op == "call_function" and isinstance(value, Tensor) and value.is_floating_point():
                seen[n.name] = look(n, value)
            return value

    with torch.no_grad():
        Looking(graph).run(*inputs)
    return seen


def copy_graph(graph: fx.GraphModule) -> fx.GraphModule:
    """An independent copy of a graph, weights included."""
    return copy.deepcopy(graph)


def share_graph(graph: fx.GraphModule) -> fx.GraphModule:
    """A copy of a graph that shares its weights, for edits that store new weights and change no old ones.

    Its Python code is generated when it first runs, as most graphs between two passes never run.
    """
    copied = fx.Graph()
    values: dict[fx.Node, fx.Node] = {}
    for node in graph.graph.nodes:
        values[node] = copied.node_copy(node, lambda old: values[old])
    copied.set_codegen(graph.graph._codegen)
    return _LazyGraphModule(graph, copied)


def in_double(graph: fx.GraphModule) -> fx.GraphModule:
    """A float64 copy of a flat graph: weights and the dtype arguments of operations.

    The recorded shapes and dtypes stay, so that a pass decides alike on both copies.
    """
    wide = share_graph(graph)
    converted: dict[Any, Tensor] = {}
    for node in wide.graph.nodes:
        if node.op == "get_attr":
            stored = attribute(wide, str(node.target)).detach()
            if stored.is_floating_point():
                same = (stored.data_ptr(), stored.shape, stored.stride())  # one tensor under two names
                set_parameter(wide, node, converted.setdefault(same, stored.double()))
    return _asking_for(wide, torch.float64)


def in_single(graph: fx.GraphModule) -> fx.GraphModule:
    """A float32 copy, like `in_double`, of a graph that may have sub-graphs."""
    return _asking_for(copy_graph(graph).to(torch.float32), torch.float32)


def _asking_for(graph: fx.GraphModule, dtype: torch.dtype) -> fx.GraphModule:
    """`graph` with every floating-point dtype among its operations' arguments replaced by `dtype`."""

    def convert(value: Any) -> Any:
        return dtype if isinstance(value, torch.dtype) and value.is_floating_point else value

    for node in graph.graph.nodes:
        if node.op == "call_function":
            node.args = fx.node.map_aggregate(node.args, convert)
            node.kwargs = fx.node.map_aggregate(node.kwargs, convert)
    graph.recompile()
    return graph


def cleanup(graph: fx.GraphModule) -> fx.GraphModule:
    """Drop operations that no output depends on and unused parameters; rebuild the Python code."""
    graph.graph.eliminate_dead_code(is_impure_node=lambda node: node.op in ("placeholder", "output"))
    read = {str(node.target) for node in graph.graph.nodes if node.op == "get_attr"}
    for path, module in list(graph.named_modules()):
        for name in [
            *dict(module.named_parameters(recurse=False)),
            *dict(module.named_buffers(recurse=False)),
        ]:
            if (f"{path}.{name}" if path else name) not in read:
                delattr(module, name)
    graph.delete_all_unused_submodules()
    graph.graph.lint()
    graph.recompile()
    return graph


def replace(node: fx.Node, replacement: fx.Node) -> None:
    """Let every user of `node` read `replacement` instead, and erase `node`."""
    node.replace_all_uses_with(replacement)
    node.graph.erase_node(node)
