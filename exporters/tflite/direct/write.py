"""From a captured graph straight to the tables of a TFLite file, one node after the other.

    a node of constants     computed here, by PyTorch
    an operation            written by its family
    any other operation     decomposed by PyTorch into operations that are written

There is no clean-up afterwards: the layout of each value is decided before the operator that makes it.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from exporters.tflite.direct import (
    activation,
    attention,
    concat,
    convolution,
    elementwise,
    embedding,
    linear,
    normalization,
    padding,
    pooling,
    reduction,
    resize,
    slices,
    views,
)
from exporters.tflite.direct.axes import Value, axes_of
from exporters.tflite.direct.decompose import decomposed
from exporters.tflite.direct.file import File
from exporters.tflite.direct.unsupported import UnsupportedError
from exporters.tflite.direct.writer import Operations, Writer, numpy_of
from mocovit_deploy.artifacts.marks import mark
from mocovit_deploy.errors import first_line
from mocovit_deploy.graph.edit import attribute, module_path
from mocovit_deploy.spec import TensorSpec

FAMILIES = (
    convolution,
    elementwise,
    activation,
    pooling,
    reduction,
    linear,
    attention,
    normalization,
    resize,
    views,
    slices,
    concat,
    padding,
    embedding,
)
OPERATIONS: Operations = {target: write for family in FAMILIES for target, write in family.OPERATIONS.items()}


def written(
    graph: fx.GraphModule,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    *,
    half: bool = False,
    half_weights: bool = False,
) -> Any:
    """The tables (`ModelT`) of `graph`, with these inputs, which may be NHWC, and these outputs.

    `half` is for files that are computed in fp16; `half_weights` stores weights in float16. Raises
    `UnsupportedError`, which names the operation and its module.
    """
    w = Writer(File(half_weights=half_weights), half=half)
    values: dict[fx.Node, Any] = {}
    specs = iter(inputs)
    taken: dict[str, int] = {}
    given: dict[str, int] = {}
    for node in graph.graph.nodes:
        if node.op == "placeholder":
            spec = next(specs)
            values[node] = _input(w, spec)
            taken[spec.name] = values[node].tensor
        elif node.op == "get_attr":
            values[node] = w.constant(numpy_of(attribute(graph, str(node.target))), name=str(node.target))
        elif node.op == "output":
            leaves = torch.utils._pytree.tree_leaves(node.args[0])
            for leaf, spec in zip(leaves, outputs, strict=True):
                w.start(leaf, _mark)
                given[spec.name] = _output(w, values[leaf], [*taken.values(), *given.values()])
        else:
            w.start(node, _mark)
            values[node] = _call(w, node, values)
    return w.file.finish(taken, given)


def _mark(node: fx.Node) -> str:
    stack = node.meta.get("nn_module_stack")
    return mark(str(list(stack.values())[-1][0]) if stack else "", node.name)


def _input(w: Writer, spec: TensorSpec) -> Value:
    shape = [int(one) for one in spec.shape]
    tensor, dims = w.file.tensor(shape, spec.dtype, spec.name), axes_of(shape)
    if spec.layout == "nhwc":
        n, h, width, c = dims
        return w.value(tensor, dims, (n, c, h, width))
    return w.value(tensor, dims, dims)


def _output(w: Writer, value: Value, used: Sequence[int]) -> int:
    """A tensor in PyTorch's order, with a RESHAPE if it would be an input, a constant or another output."""
    held = w.layout.lay(value, value.logical)
    if value.array is not None or held in used:
        return w.layout.reshape(held, w.file.shape(held), always=True)
    return held


def _call(w: Writer, node: fx.Node, values: Mapping[fx.Node, Any]) -> Any:
    if node in w.absorbed:
        return values[w.absorbed[node]]
    arguments: Any = fx.node.map_arg(node.args, lambda one: values[one])
    named: Any = fx.node.map_arg(node.kwargs, lambda one: values[one])
    if node.target is operator.getitem:
        return arguments[0][arguments[1]]
    try:
        if _constant(arguments, named):
            return _folded(w, node, arguments, named)
        if write := OPERATIONS.get(node.target):
            return write(w, *bound(node.target, arguments, named))
        return _taken_apart(w, node, arguments, named)
    except UnsupportedError as error:
        if not error.operation:
            error.operation, error.module = name_of(node.target), module_path(node)
        raise
    except Exception as error:  # its family does not handle this form; another converter may
        why = f"a form it does not know ({type(error).__name__}: {first_line(error)})"
        raise UnsupportedError(why, name_of(node.target), module_path(node)) from error


def name_of(target: Any) -> str:
    """The name of an operation without its overload, such as "aten.conv2d"."""
    return str(target).rpartition(".")[0] if isinstance(target, torch._ops.OpOverload) else str(target)


def bound(target: Any, arguments: Sequence[Any], named: Mapping[str, Any]) -> list[Any]:
    """The arguments of a call in the order of its schema, defaults filled in."""
    schema = target._schema
    rest = [named.get(a.name, a.default_value) for a in schema.arguments[len(arguments) :]]
    return [*arguments, *rest]


def _constant(arguments: Any, named: Any) -> bool:
    leaves = torch.utils._pytree.tree_leaves((arguments, named))
    return all(leaf.array is not None for leaf in leaves if isinstance(leaf, Value))


def _folded(w: Writer, node: fx.Node, arguments: Any, named: Any) -> Any:
    """The result of a node whose arguments are all constant, computed by PyTorch, as constants."""

    def tensor(leaf: Any) -> Any:
        return torch.from_numpy(w.array(leaf).copy()) if isinstance(leaf, Value) else leaf

    args, kwargs = torch.utils._pytree.tree_map(tensor, (arguments, named))
    with torch.no_grad():
        result = node.target(*args, **kwargs)  # type: ignore[operator]
    return torch.utils._pytree.tree_map(
        lambda one: w.constant(numpy_of(one), name=node.name) if isinstance(one, Tensor) else one, result
    )


def _taken_apart(w: Writer, node: fx.Node, arguments: Any, named: Any) -> Any:
    """Write PyTorch's decomposition of an operation, all operators under the mark of `node`."""
    leaves, tree = torch.utils._pytree.tree_flatten((arguments, named))
    tensors = [leaf for leaf in leaves if isinstance(leaf, Value)]
    parts = decomposed(node.target, leaves, tree, OPERATIONS)
    values: dict[fx.Node, Any] = {}
    given = iter(tensors)
    for part in parts.graph.nodes:
        if part.op == "placeholder":
            values[part] = next(given)
        elif part.op == "get_attr":
            values[part] = w.constant(numpy_of(getattr(parts, str(part.target))))
        elif part.op == "output":
            return fx.node.map_arg(part.args[0], lambda one: values[one])
        else:
            w.start(part, lambda _part: _mark(node))
            try:
                values[part] = _call(w, part, values)
            except UnsupportedError as error:  # parts have no module, and names that no user knows
                why = f"{error.operation}, a part of it: {error.why}"
                raise UnsupportedError(why, name_of(node.target), module_path(node)) from error
    raise AssertionError("a graph without an output")
