"""Compute the mean of an image by poolings, which take XNNPACK fewer instructions than MEAN.

    before   x - mean over H, W - y
    after    x - AveragePool (h, w) - ... - AveragePool - y         h and w at most `SIDE`

One window over the whole image would add H * W values in half precision, which overflows at 65504 and loses
small addends before that. So a window has at most 256 values, and the next pooling averages their means.

Shapes    x (N, C, H, W); y (N, C, 1, 1)
Refuses   an image whose sides no window divides; a mean that drops its axes
Exact     yes (float64)
Source    a mean of means of equal windows is the mean
"""

from __future__ import annotations

from torch import fx

from mocovit_deploy.graph.edit import (
    argument,
    aten,
    module_path,
    shape_of,
)
from mocovit_deploy.graph.insert import insert_call, supplant
from mocovit_deploy.passes.at_each import at_each
from mocovit_deploy.passes.result import Change, PassResult

SIDE = 16


def pool_global_mean(graph: fx.GraphModule) -> PassResult:
    """Return a new graph with average poolings in place of means over whole images."""
    return at_each(graph, (aten.mean.dim, aten.adaptive_avg_pool2d.default), _pool_at)


def _pool_at(graph: fx.GraphModule, mean: fx.Node) -> Change | None:
    x = argument(mean, "self")
    shape = shape_of(x)
    if len(shape) != 4 or shape_of(mean) != (*shape[:2], 1, 1) or shape[2] * shape[3] == 1:
        return None
    sizes = windows(shape[2], shape[3])
    if sizes is None:
        return None
    y = x
    for size in sizes:
        y = insert_call(mean, aten.avg_pool2d.default, (y, list(size), list(size)), mean)
    text = " then ".join(f"{height}x{width}" for height, width in sizes)
    change = Change(module_path(mean), f"by pooling {text}")
    supplant(mean, y)
    return change


def windows(height: int, width: int) -> list[tuple[int, int]] | None:
    """Windows (height, width), each side at most `SIDE`, that pool an image to one value; None if none do."""
    sizes = []
    while height * width > 1:
        size = (_largest_divisor(height), _largest_divisor(width))
        if size == (1, 1):
            return None
        sizes.append(size)
        height, width = height // size[0], width // size[1]
    return sizes


def _largest_divisor(length: int) -> int:
    return max(side for side in range(1, SIDE + 1) if length % side == 0)
