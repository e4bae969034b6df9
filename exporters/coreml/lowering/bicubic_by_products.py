"""Write bicubic resizing as two products with constant matrices.

    before   x (N, C, H, W) - upsample_bicubic2d - y (N, C, Ho, Wo)
    after    x - matmul(., C^T) - matmul(R, .) - y            R (Ho, H), C (Wo, W)

Core ML has no bicubic operator, and torch's decomposition is sixteen gathers.

Refuses   nothing. Nearest and bilinear resizing are not matched: Core ML has operators for them
Exact     yes (float64)
Source    graph/resize.py
"""

from __future__ import annotations

import torch
from torch import fx

from mocovit_deploy.graph.edit import argument, aten, module_path
from mocovit_deploy.graph.insert import insert_call, store, supplant
from mocovit_deploy.graph.resize import BICUBIC, bicubic_matrices
from mocovit_deploy.passes.at_each import at_each
from mocovit_deploy.passes.result import Change, PassResult


def bicubic_by_products(graph: fx.GraphModule) -> PassResult:
    """Return a new graph without bicubic resizing."""
    return at_each(graph, BICUBIC, _products_at)


def _products_at(graph: fx.GraphModule, resize: fx.Node) -> Change:
    x = argument(resize, "input")
    rows, columns = (matrix.to(_precision(graph)) for matrix in bicubic_matrices(resize))
    right = store(graph, resize, "bicubic_columns", columns.T, x)
    wide = insert_call(resize, aten.matmul.default, (x, right), resize)
    left = store(graph, resize, "bicubic_rows", rows, x)
    tall = insert_call(resize, aten.matmul.default, (left, wide), resize)
    change = Change(module_path(resize), "bicubic resizing as two products")
    supplant(resize, tall)
    return change


def _precision(graph: fx.GraphModule) -> torch.dtype:
    """The dtype of the network's numbers. Proofs of rewrites run on copies in float64."""
    held = [one.dtype for one in (*graph.parameters(), *graph.buffers()) if one.is_floating_point()]
    return held[0] if held else torch.float32
