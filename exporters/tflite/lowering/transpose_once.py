"""Queries, keys and values of an image transposed together, before they are cut apart.

    before   x (N, H, W, C) - reshape - transpose - chunk - q, k, v, each then transposed for its product
    after    x (N, H, W, C) - reshape - TRANSPOSE - transpose - chunk - q, k, v

The writer lays a `clone` that is marked `lay_out` out as PyTorch has it; what comes after only looks at it
otherwise.

Shapes    x (B, C, H, W); reshape (B, heads, 3d, H W); q, k, v (B, heads, H W, d)
Refuses   chunks of values that do not come from an image by one reshape
Exact     yes, bit for bit
Source    one TRANSPOSE for three, as counted
"""

from __future__ import annotations

from torch import fx

from mocovit_deploy.graph.edit import (
    argument,
    aten,
    cleanup,
    count,
    module_path,
    nodes_calling,
    shape_of,
    share_graph,
)
from mocovit_deploy.graph.insert import call
from mocovit_deploy.passes.result import Change, PassResult


def transpose_once(graph: fx.GraphModule) -> PassResult:
    if not count(graph, aten.chunk.default):
        return PassResult(graph)
    graph = share_graph(graph)
    changes = []
    for chunk in nodes_calling(graph, aten.chunk.default):
        transpose = argument(chunk, "self")
        if transpose.target is not aten.transpose.int or set(transpose.users) != {chunk}:
            continue
        reshape = argument(transpose, "self")
        if reshape.target is not aten.reshape.default or set(reshape.users) != {transpose}:
            continue
        if len(shape_of(argument(reshape, "self"))) != 4 or len(shape_of(reshape)) != 4:
            continue
        laid = call(transpose, aten.clone.default, (reshape,), reshape)
        laid.meta["lay_out"] = True
        transpose.replace_input_with(reshape, laid)
        changes.append(Change(module_path(chunk), "what it is cut from transposed as a whole"))
    return PassResult(cleanup(graph), tuple(changes))
