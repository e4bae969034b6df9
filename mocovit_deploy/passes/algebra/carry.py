"""Operations before or after which a per-channel map has the same result.

    y = reshape(x), permute(x), slice(x), ...     the channels only move to another axis
    y = mean(x), avg_pool(x), upsample(x)         weights sum to one: mean(s*x + t) = s*mean(x) + t
    y = max_pool(x)                               if no scale is negative

`back` moves a map from the result of such an operation to its input, `on` from its input to its result. A
reshape may join the channels with neighbouring axes, as a flatten before a linear layer does; then every
channel's scale and shift are repeated. A reshape that splits the channels is not passed.

                    axis 1                        axis 1                        axis 2
    on      x (N, C, H, W) - flatten(1) - y (N, C*H*W)         x (B*N, C) - reshape - y (B, N, C)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, fx

from mocovit_deploy.graph.edit import argument, aten, shape_of, value_of
from mocovit_deploy.passes.algebra.affine import Affine

RESHAPES = (
    aten.view.default,
    aten.reshape.default,
    aten.flatten.using_ints,
    aten.unflatten.int,
    aten.squeeze.default,
    aten.squeeze.dim,
    aten.squeeze.dims,
    aten.unsqueeze.default,
)
ORDERS = (aten.permute.default, aten.transpose.int)
PARTS = (aten.slice.Tensor, aten.select.int)
AVERAGES = (
    aten.adaptive_avg_pool1d.default,
    aten.adaptive_avg_pool2d.default,
    aten.avg_pool1d.default,
    aten.avg_pool2d.default,
    aten.upsample_nearest1d.vec,
    aten.upsample_nearest2d.vec,
    aten.upsample_bilinear2d.vec,
)
MAXIMA = (aten.max_pool1d.default, aten.max_pool2d.default)
MEANS = (aten.mean.dim,)
CARRIERS = RESHAPES + ORDERS + PARTS + AVERAGES + MAXIMA + MEANS
"""The operations that `back` and `on` can pass. Each reads one tensor, its first argument."""


@dataclass(frozen=True)
class Carried:
    """A per-channel map on the other side of an operation, and the axis of its channels there."""

    affine: Affine
    axis: int


def back(node: fx.Node, axis: int, affine: Affine) -> Carried | None:
    """The map of the input of `node` that equals `affine` along `axis` of its result; None if none does."""
    source, result = _shapes(node)
    if node.target in RESHAPES:
        return _through_reshape(result, source, axis, affine)
    before = _input_axes(node, source, result)[axis]
    return Carried(affine, before) if before is not None and _commutes(node, affine) else None


def on(node: fx.Node, axis: int, affine: Affine) -> Carried | None:
    """The map of the result of `node` that equals `affine` along `axis` of its input; None if none does."""
    source, result = _shapes(node)
    if node.target in RESHAPES:
        return _through_reshape(source, result, axis, affine)
    axes = _input_axes(node, source, result)
    return Carried(affine, axes.index(axis)) if axis in axes and _commutes(node, affine) else None


def _shapes(node: fx.Node) -> tuple[tuple[int, ...], tuple[int, ...]]:
    source = node.args[0]
    assert isinstance(source, fx.Node)
    return shape_of(source), shape_of(node)


def _commutes(node: fx.Node, affine: Affine) -> bool:
    """Whether the map commutes with this operation, apart from the axis of its channels."""
    if node.target in MAXIMA:
        return bool((affine.scale >= 0).all())
    if node.target in MEANS:
        source = node.args[0]
        return isinstance(source, fx.Node) and value_of(source).dtype == value_of(node).dtype
    if node.target in (aten.avg_pool1d.default, aten.avg_pool2d.default):
        counts_zeros = any(argument(node, "padding")) and argument(node, "count_include_pad")
        divides = node.target is aten.avg_pool2d.default and argument(node, "divisor_override")
        return not counts_zeros and not divides
    return True


def _input_axes(node: fx.Node, source: Sequence[int], result: Sequence[int]) -> list[int | None]:
    """For each axis of the result, the input's axis that it is; None for an axis that is computed over."""
    rank = len(source)
    whole: list[int | None] = list(range(rank))
    if node.target is aten.permute.default:
        order: Any = node.args[1]
        return [axis % rank for axis in order]
    if node.target is aten.transpose.int:
        first, second = (int(a) % rank for a in node.args[1:3])  # type: ignore[arg-type]
        whole[first], whole[second] = whole[second], whole[first]
        return whole
    if node.target in PARTS:
        cut = argument(node, "dim") % rank
        return [None if axis == cut else axis for axis in whole if len(result) == rank or axis != cut]
    if node.target in MEANS:
        averaged = {axis % rank for axis in argument(node, "dim") or range(rank)}
        kept = whole if argument(node, "keepdim") else [axis for axis in whole if axis not in averaged]
        return [None if axis in averaged else axis for axis in kept]
    pooled = 1 if "1d" in str(node.target) else 2
    return [axis if axis is not None and axis < rank - pooled else None for axis in whole]


def _through_reshape(near: Sequence[int], far: Sequence[int], axis: int, affine: Affine) -> Carried | None:
    """A map along `axis` of a tensor of shape `near`, as a map of the same numbers in shape `far`."""
    for ours, theirs in _groups(near, far):
        if axis not in ours:
            continue
        sizes = [near[a] for a in ours]
        wide = [a for a in theirs if not (_known(far[a]) and far[a] == 1)]
        if not theirs or len(wide) > 1 or not all(map(_known, sizes)):
            return None
        place = [-1 if a == axis else 1 for a in ours]

        def spread(values: Tensor, place: list[int] = place, sizes: list[int] = sizes) -> Tensor:
            return values.reshape(place).expand(sizes).flatten()

        return Carried(Affine(spread(affine.scale), spread(affine.shift)), (wide or list(theirs))[0])
    return None


def _groups(near: Sequence[int], far: Sequence[int]) -> list[tuple[range, range]]:
    """Runs of axes of two shapes that hold the same numbers: (2, 3, 4) and (6, 4) are [0, 1]-[0], [2]-[1].

    They are found from the right. All axes up to a size that the caller of the file chooses become one run.
    """
    groups, i, j = [], len(near), len(far)
    while i and j:
        last_i, last_j = i, j
        i, j = i - 1, j - 1
        while not _same(math.prod(near[i:last_i]), math.prod(far[j:last_j])):
            ours, theirs = math.prod(near[i:last_i]), math.prod(far[j:last_j])
            if not (_known(ours) and _known(theirs)) or not (i or j):
                i = j = 0
                break
            if (ours < theirs and i) or not j:
                i -= 1
            else:
                j -= 1
        groups.append((range(i, last_i), range(j, last_j)))
    if groups:  # axes of size one at the left of either side
        groups[-1] = (range(groups[-1][0].stop), range(groups[-1][1].stop))
    return groups


def _known(size: Any) -> bool:
    return isinstance(size, int)


def _same(a: Any, b: Any) -> bool:
    return bool(a == b) if _known(a) and _known(b) else str(a) == str(b)
