"""nn.Module -> one flat functional graph. The only caller of torch.export for user networks.

The result of torch.export is neither flat nor functional: attention is inside `wrap_with_autocast`
sub-graphs, and nearly every family of networks has in-place operations. Here the sub-graphs are inlined. An
in-place operation is replaced by its counterpart that returns a new tensor, if nothing else can see the
mutation; else torch's own functionalization (assignments.py) is used, which follows views and takes longer.
The result is an ordinary `fx.GraphModule` that can be run, saved and fine-tuned. Node metadata keeps every
node's module path.
"""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn

from mocovit_deploy.artifacts.operator import ROOT_MODULE
from mocovit_deploy.errors import ConversionError, first_line
from mocovit_deploy.graph.assignments import functional, write_assignments_out
from mocovit_deploy.graph.edit import (
    argument,
    cleanup,
    module_path,
    nodes_calling,
    returns_view,
    shape_of,
    value_of,
)
from mocovit_deploy.graph.script import graph_of
from mocovit_deploy.graph.wrapper import tell_own_paths, unwrapped, with_own_parameters

WRAPPERS = ("wrap_with_autocast", "wrap_with_set_grad_enabled")


def capture(module: nn.Module, example: Sequence[Tensor], dynamic_batch: bool = False) -> fx.GraphModule:
    """Capture `module` in eval mode as one flat functional graph of ATen operations.

    `example` are the inputs, with the shapes the graph will have; with `dynamic_batch` the first dimension
    of every input is left to the caller. The module's own training flags are restored. A ScriptModule is
    converted first (`script`).

    Raises `ConversionError`, naming the module and the line, if torch.export cannot capture the network, or
    if the network changes something in place that a functional graph cannot express.
    """
    dynamic_shapes = None
    if dynamic_batch:
        batch = torch.export.Dim("batch", min=1)
        dynamic_shapes = (
            (tuple({0: batch} for _ in example),)
            if _takes_varargs(module)
            else tuple({0: batch} for _ in example)
        )
    modes = [(child, child.training) for child in module.modules() if hasattr(child, "training")]
    try:
        with torch.no_grad():
            module.eval()
            source = graph_of(module, example) if isinstance(module, torch.jit.ScriptModule) else module
            program = torch.export.export(source, tuple(example), dynamic_shapes=dynamic_shapes)
            raw = program.module(check_guards=False)
            assert isinstance(raw, fx.GraphModule)
            tell_own_paths(raw, module)
            try:
                graph = inline_subgraphs(raw)
            except _SharedMemoryError:
                raw = functional(program)
                tell_own_paths(raw, module)
                graph = inline_subgraphs(raw)
    except ConversionError:
        raise
    except Exception as error:  # the user's forward may raise any type
        raise ConversionError(_explain(error, module)) from error
    finally:
        for child, mode in modes:
            child.training = mode
    return with_own_parameters(graph, module)


class _SharedMemoryError(ConversionError):
    """An operation changes a tensor in place, and a view of it is read later."""


def inline_subgraphs(raw: fx.GraphModule) -> fx.GraphModule:
    """Inline sub-graphs and replace in-place operations; returns an ordinary `GraphModule`.

    Raises `ConversionError` for control flow, enabled autocast, and mutations that cannot be replaced.
    """
    raw.graph._tracer_cls = None  # torch.export's own tracer cannot be rebuilt when a pickle is read
    graph = fx.GraphModule(raw, raw.graph)
    while wrapped := [n for n in graph.graph.nodes if _wrapper_name(n)]:
        for node in wrapped:
            _inline(graph, node)
    for node in nodes_calling(graph, torch.ops.aten._assert_tensor_metadata.default):
        graph.graph.erase_node(node)
    _functionalize(graph)
    write_assignments_out(graph)
    _forget_strides(graph)
    _write_shapes_out(graph)
    return cleanup(graph)


def _takes_varargs(module: nn.Module) -> bool:
    code = getattr(module.forward, "__code__", None)
    return bool(code and code.co_flags & 0x04 and code.co_argcount == 1)


def _wrapper_name(node: fx.Node) -> str | None:
    if node.op != "call_function" or not isinstance(node.target, torch._ops.HigherOrderOperator):
        return None
    name = str(node.target._name)
    if name not in WRAPPERS:
        raise ConversionError(
            f"{module_path(node)}: {name} cannot be exported; "
            "rewrite this part of forward without control flow operators"
        )
    return name


def _inline(graph: fx.GraphModule, node: fx.Node) -> None:
    """Replace a call of an autocast or grad-mode sub-graph by the sub-graph's own nodes."""
    if _wrapper_name(node) == "wrap_with_autocast" and node.args[2]:
        raise ConversionError(
            f"{module_path(node)}: autocast is enabled inside forward, so the network computes in mixed "
            "precision by itself; disable autocast, and choose the precision with --precision"
        )
    arguments: Any = node.args
    position = next(i for i, a in enumerate(arguments) if isinstance(a, fx.Node) and a.op == "get_attr")
    reference, actual = arguments[position], arguments[position + 1 :]
    body = graph.get_submodule(str(reference.target))
    assert isinstance(body, fx.GraphModule)
    values: dict[fx.Node, Any] = dict(
        zip((n for n in body.graph.nodes if n.op == "placeholder"), actual, strict=True)
    )
    with graph.graph.inserting_before(node):
        for inner in body.graph.nodes:
            if inner.op == "get_attr":
                setattr(graph, f"{reference.target}_{inner.target}", getattr(body, str(inner.target)))
                values[inner] = graph.graph.get_attr(f"{reference.target}_{inner.target}")
            elif inner.op not in ("placeholder", "output"):
                values[inner] = graph.graph.node_copy(inner, lambda n: values[n])
    result: Any = fx.node.map_arg(body.graph.output_node().args[0], lambda n: values[n])
    user: Any
    for user in list(node.users):  # getitem calls that unpack the tuple
        user.replace_all_uses_with(result[user.args[1]])
        graph.graph.erase_node(user)
    graph.graph.erase_node(node)


def _functionalize(graph: fx.GraphModule) -> None:
    """Replace in-place operations, such as `relu_(x)` by `relu(x)`; later readers of `x` read the result.

    Raises `_SharedMemoryError` if a view of `x`, or a tensor that `x` is a view of, is read later, because
    that reader would see the mutation, too.
    """
    order = {node: position for position, node in enumerate(graph.graph.nodes)}
    for node in list(graph.graph.nodes):
        schema = getattr(node.target, "_schema", None)
        if node.op != "call_function" or schema is None or not schema.is_mutable:
            continue
        mutated = node.args[0]
        base, overload = schema.name.removesuffix("_"), schema.overload_name or "default"
        functional = getattr(getattr(torch.ops.aten, base.split("::")[1], None), overload, None)
        if functional is None or functional._schema.is_mutable or not isinstance(mutated, fx.Node):
            raise ConversionError(
                f"{module_path(node)}: {schema.name} changes a tensor in place; use an operation that "
                "returns a new tensor"
            )
        if mutated.op in ("get_attr", "placeholder"):
            what = "an input" if mutated.op == "placeholder" else f"the buffer {mutated.target}"
            raise ConversionError(
                f"{module_path(node)}: {schema.name} changes {what} in place; use an operation that returns "
                "a new tensor"
            )
        for other in _alias_group(mutated) - {mutated, node}:
            if any(order[user] > order[node] for user in other.users if user in order):
                raise _SharedMemoryError(
                    f"{module_path(node)}: {schema.name} changes a tensor whose view {other.name} is read "
                    "later; use the operation that returns a new tensor"
                )
        node.target = functional
        mutated.replace_all_uses_with(
            node,
            delete_user_cb=lambda user, node=node: order.get(user, -1) > order[node],  # type: ignore[misc]
        )


def _forget_strides(graph: fx.GraphModule) -> None:
    """Replace `view(x)` by `reshape(x)`, which does the same for any x.

    `view` relies on the strides of x, often on a `contiguous` before it. Values have no strides in the three
    formats, and a pass that drops the `contiguous` would leave a graph that torch cannot run.
    """
    for node in nodes_calling(graph, torch.ops.aten.view.default):
        node.target = torch.ops.aten.reshape.default


def _write_shapes_out(graph: fx.GraphModule) -> None:
    """Replace operations that read a value only for its shape.

        reshape_as(x, y)                             reshape(x, [2, 3])
        full_like(x, c), fill(x, c), zeros_like(x), ones_like(x)    full([2, 3], c), which is a constant

    Operations stay if they need a size that the caller of the file chooses; a reshape may need one such size.
    """
    aten = torch.ops.aten
    for node in nodes_calling(graph, aten.reshape_as.default, aten.view_as.default):
        sizes = [size if isinstance(size, int) else -1 for size in shape_of(node)]
        if sizes.count(-1) < 2:
            node.target, node.args = aten.reshape.default, (node.args[0], sizes)
    filled: dict[Any, int | str] = {
        aten.zeros_like.default: 0,
        aten.ones_like.default: 1,
        aten.full_like.default: "fill_value",
        aten.fill.Scalar: "value",
    }
    for node in nodes_calling(graph, *filled):
        if all(isinstance(size, int) for size in shape_of(node)):
            known = filled[node.target]
            number = argument(node, known) if isinstance(known, str) else known
            node.target, node.args = aten.full.default, (list(shape_of(node)), number)
            node.kwargs = {"dtype": value_of(node).dtype}


def _alias_group(node: fx.Node) -> set[fx.Node]:
    """All nodes that share memory with `node` through views, itself included."""
    group, todo = set(), [node]
    while todo:
        current = todo.pop()
        if current in group:
            continue
        group.add(current)
        todo += [user for user in current.users if returns_view(user) and user.args[0] is current]
        if returns_view(current) and isinstance(current.args[0], fx.Node):
            todo.append(current.args[0])
    return group


def _explain(error: Exception, module: nn.Module) -> str:
    """One line with the module, the line of the user's code, and torch's message."""
    network = unwrapped(module)
    paths = {id(child): name or ROOT_MODULE for name, child in network.named_modules()}
    where, line = type(network).__name__, ""
    torch_folder = str(Path(torch.__file__).parent)
    for frame, number in traceback.walk_tb(error.__traceback__):
        file, owner = frame.f_code.co_filename, frame.f_locals.get("self")
        if id(owner) not in paths:
            continue
        where = f"{paths[id(owner)]} ({type(owner).__name__})"
        if not file.startswith(torch_folder):
            line = f", {file}:{number}: {linecache.getline(file, number).strip()}"
    said = first_line(error)
    hint = "; do not branch on computed values, use torch.where instead" if "data-dependent" in said else ""
    return f"torch.export cannot capture {where}{line}: {said}{hint}"
