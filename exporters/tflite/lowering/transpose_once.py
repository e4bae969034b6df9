"""Transpose the queries, keys and values of an image together, before they are split.

    before   x (N, H, W, C) - reshape - transpose - chunk - q, k, v, each then transposed for its product
    after    x (N, H, W, C) - reshape - TRANSPOSE - transpose - chunk - q, k, v

The pass inserts a `clone` with `lay_out` in its `meta`: the writer brings it into PyTorch's order in memory,
and the operations after it change only the view.

Shapes    x (B, C, H, W); reshape (B, heads, 3d, H W); q, k, v (B, heads, H W, d)
Refuses   chunks of values that are not one reshape of an image
Exact     yes, bit for bit
Source    counted: one TRANSPOSE in place of three
"""

from __future__ import annotations

from torch import fx

from mocovit_deploy.graph.edit import (
    argument,
    aten,
    module_path,
    shape_of,
)
from mocovit_deploy.graph.insert import insert_call
from mocovit_deploy.passes.at_each import at_each
from mocovit_deploy.passes.result import Change, PassResult


def transpose_once(graph: fx.GraphModule) -> PassResult:
    """Return a new graph with a marked `clone` before each such split."""
    return at_each(graph, (aten.chunk.default,), _transpose_at)


def _transpose_at(graph: fx.GraphModule, chunk: fx.Node) -> Change | None:
    transpose = argument(chunk, "self")
    if transpose.target is not aten.transpose.int or set(transpose.users) != {chunk}:
        return None
    reshape = argument(transpose, "self")
    if reshape.target is not aten.reshape.default or set(reshape.users) != {transpose}:
        return None
    if len(shape_of(argument(reshape, "self"))) != 4 or len(shape_of(reshape)) != 4:
        return None
    laid = insert_call(transpose, aten.clone.default, (reshape,), reshape)
    laid.meta["lay_out"] = True
    transpose.replace_input_with(reshape, laid)
    return Change(module_path(chunk), "q, k and v transposed together before the split")
