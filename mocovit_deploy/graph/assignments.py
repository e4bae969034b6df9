"""Assignments into a part of a tensor, rewritten as operations that return a new tensor.

torch's own functionalization follows views, but expresses assignments by operations that no file format has.
Here they are rewritten by operations that all formats have:

    y[:, 2] = v         select_scatter(y, copy(y[:, 2], v), 1, 2)    cat(y[:, :2], v.unsqueeze(1), y[:, 3:])
    y[:, 2:4] = v       slice_scatter(y, copy(y[:, 2:4], v), 1, 2, 4)         cat(y[:, :2], v, y[:, 4:])
    y.copy_(v)          copy(y, v) or fill(y, v)                              v, in the shape and type of y

The functionalization also replaces each BatchNorm by an operation that returns its statistics, too. Here it
becomes one BatchNorm again.
"""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import fx

from mocovit_deploy.graph.edit import argument, aten, nodes_calling, replace, shape_of, value_of
from mocovit_deploy.graph.insert import insert_call


def functional(program: torch.export.ExportedProgram) -> fx.GraphModule:
    """A program's graph without operations that change a tensor in place, except inputs and buffers.

    Raises the errors of torch's functionalization.
    """
    raw = program.run_decompositions({}).module(check_guards=False)
    assert isinstance(raw, fx.GraphModule)
    for node in nodes_calling(raw, aten._native_batch_norm_legit_no_training.default):
        _replace_batch_norm(node)
    return raw


def write_assignments_out(graph: fx.GraphModule) -> None:
    """Replace assignments, as above, in a graph that is otherwise functional.

    Assignments with a step, and into an axis whose size the caller chooses, keep torch's own operation.
    """
    for node in nodes_calling(graph, aten.copy.default):
        replace(node, _as(argument(node, "src"), argument(node, "self"), node))
    for node in nodes_calling(graph, aten.fill.Tensor):
        replace(node, _as(argument(node, "value"), argument(node, "self"), node))
    for node in nodes_calling(graph, aten.select_scatter.default):
        whole, part, axis, index = (argument(node, name) for name in ("self", "src", "dim", "index"))
        start = _from_front(whole, axis, index)
        if start is not None:
            part = insert_call(node, aten.unsqueeze.default, (part, axis), node)
            replace(node, _spliced(node, whole, part, axis, start, start + 1))
    for node in nodes_calling(graph, aten.slice_scatter.default):
        whole, part, axis, step = (argument(node, name) for name in ("self", "src", "dim", "step"))
        bounds = (argument(node, "start") or 0, argument(node, "end"))
        start, end = (_from_front(whole, axis, one) for one in bounds)
        if step == 1 and start is not None and end is not None:
            replace(node, _spliced(node, whole, part, axis, start, max(start, end)))


def _replace_batch_norm(node: fx.Node) -> None:
    x, weight, bias, mean, variance, momentum, epsilon = node.args
    arguments = (x, weight, bias, mean, variance, False, momentum, epsilon, False)
    joined = insert_call(node, aten.batch_norm.default, arguments, node)
    for user in list(node.users):
        if user.target is operator.getitem and user.args[1] == 0:
            joined.meta["val"] = user.meta["val"]
            replace(user, joined)
        elif not user.users:
            node.graph.erase_node(user)
    node.graph.erase_node(node)


def _as(value: fx.Node, place: fx.Node, node: fx.Node) -> fx.Node:
    """`value` in the shape and type of `place`."""
    if value_of(value).dtype != value_of(place).dtype:
        value = insert_call(node, aten.to.dtype, (value, value_of(place).dtype), node)
    if shape_of(value) != shape_of(place):
        value = insert_call(node, aten.expand.default, (value, list(shape_of(place))), node)
    return value


def _from_front(whole: fx.Node, axis: int, place: Any) -> int | None:
    """A place on an axis counted from its front, clamped to it; None if the axis has no known size."""
    size = shape_of(whole)[axis]
    if not isinstance(size, int) or not isinstance(place, int | None):
        return None
    if place is None:
        return size
    return min(max(place + size if place < 0 else place, 0), size)


def _spliced(node: fx.Node, whole: fx.Node, part: Any, axis: int, start: int, end: int) -> fx.Node:
    """`whole` with the values from `start` to `end` of an axis replaced by `part`."""
    pieces = [part]
    if start:
        pieces.insert(0, insert_call(node, aten.slice.Tensor, (whole, axis, 0, start), node))
    if end < shape_of(whole)[axis]:
        pieces.append(insert_call(node, aten.slice.Tensor, (whole, axis, end, shape_of(whole)[axis]), node))
    return part if len(pieces) == 1 else insert_call(node, aten.cat.default, (pieces, axis), node)
