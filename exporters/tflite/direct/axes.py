"""Axes and views: reshape, permute and the like as algebra on names of axes, without moving data.

A value is a tensor of the file and a view of it. Each is a list of dimensions, and a dimension is a list of
indivisible axes. The dimensions of the tensor are `physical`, those of PyTorch `logical`:

    image (1, C, H, W), NHWC in the file     physical (), (H), (W), (C)     logical (), (C), (H), (W)
    .flatten(2)                              physical (), (H), (W), (C)     logical (), (C), (H W)
    .transpose(1, 2)                         physical (), (H), (W), (C)     logical (), (H W), (C)

permute, transpose, reshape and flatten change only the view. A dimension of size one has no axes. An axis
that is logical but not physical is a broadcast axis: `expand` adds it, and TFLite's own broadcasting in
arithmetic makes it unnecessary in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Axis:
    """An indivisible axis; two of one size are different axes."""

    size: int


Axes = tuple[Axis, ...]
Dims = tuple[Axes, ...]


class MisalignedError(Exception):
    """Two lists of axes, such as (2, 3) and (3, 2), have no common refinement: a value must be moved."""


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the file, or a constant, as one node of the graph sees it."""

    tensor: int | None
    """The index of the tensor in the file; None for a constant, written only when an operator reads it."""
    physical: Dims
    logical: Dims
    dtype: np.dtype[Any]
    array: Array | None = None
    """A constant's numbers, in its physical shape."""
    name: str = ""
    """The network's name of a constant, such as "stem.0.weight"."""

    @property
    def shape(self) -> tuple[int, ...]:
        """PyTorch's shape."""
        return sizes(self.logical)

    @property
    def rank(self) -> int:
        """The number of PyTorch's dimensions."""
        return len(self.logical)

    @property
    def order(self) -> Axes:
        """All axes as the tensor holds them, outermost first."""
        return flat(self.physical)

    @property
    def broadcast(self) -> Axes:
        """The axes along which the value repeats, and which its tensor does not have."""
        held = set(self.order)
        return tuple(axis for axis in flat(self.logical) if axis not in held)

    def seen_as(self, logical: Iterable[Axes]) -> Value:
        """The same tensor under another view."""
        return replace(self, logical=tuple(logical))

    def dim(self, index: int) -> Axes:
        """The axes of a logical dimension; negative indices count from the end, as in PyTorch."""
        return self.logical[index]


def sizes(dims: Dims) -> tuple[int, ...]:
    """The shape of a list of dimensions."""
    return tuple(size(axes) for axes in dims)


def size(axes: Axes) -> int:
    """The number of elements of a dimension with these axes."""
    return prod(axis.size for axis in axes)


def flat(dims: Iterable[Axes]) -> Axes:
    """The axes of all dimensions, one after the other."""
    return tuple(axis for axes in dims for axis in axes)


def axes_of(shape: Sequence[int]) -> Dims:
    """Fresh axes for a shape: one for each dimension that is not of size one."""
    return tuple((Axis(one),) if one != 1 else () for one in shape)


def fresh(value: Value) -> Value:
    """The same value with axes that no other value has."""
    return substituted(value, {axis: (Axis(axis.size),) for axis in (*value.order, *value.broadcast)})


def substituted(value: Value, by: Mapping[Axis, Axes]) -> Value:
    """The same value with some axes replaced by their parts, or by others of the same size."""

    def change(dims: Dims) -> Dims:
        return tuple(tuple(part for axis in axes for part in by.get(axis, (axis,))) for axes in dims)

    return replace(value, physical=change(value.physical), logical=change(value.logical))


def refined(left: Axes, right: Axes) -> tuple[dict[Axis, Axes], dict[Axis, Axes]]:
    """The splits of axes, left and right, after which both lists have the same sizes.

        left (12), right (3, 4)     the 12 becomes 3 and 4
        left (4, 6), right (8, 3)   4 and (2, 3) on the left, (4, 2) and 3 on the right

    Axes that need no split are not listed. Raises `MisalignedError` if there are no such splits.
    """
    splits: tuple[dict[Axis, Axes], dict[Axis, Axes]] = ({}, {})
    todo = ([(axis, axis.size) for axis in left], [(axis, axis.size) for axis in right])
    parts: tuple[dict[Axis, list[int]], dict[Axis, list[int]]] = ({}, {})
    # From the innermost outwards: the smaller rest of the two is split off the larger.
    while todo[0] and todo[1]:
        (a, rest_a), (b, rest_b) = todo[0].pop(), todo[1].pop()
        step = min(rest_a, rest_b)
        if rest_a % step or rest_b % step:
            raise MisalignedError
        for side, axis, rest in ((0, a, rest_a), (1, b, rest_b)):
            parts[side].setdefault(axis, []).insert(0, step)
            if rest > step:
                todo[side].append((axis, rest // step))
    if todo[0] or todo[1]:
        raise MisalignedError
    for side in (0, 1):
        for axis, sizes_ in parts[side].items():
            if len(sizes_) > 1:
                splits[side][axis] = tuple(Axis(one) for one in sizes_)
    return splits


def aligned(left: Value, right: Value, pairs: Iterable[tuple[int, int]]) -> tuple[Value, Value]:
    """Both values with the same axes in each pair of logical dimensions (of the left, of the right).

    Pairs in which one side has size one are left alone. Raises `MisalignedError` if the sizes do not align.
    """
    right = fresh(right)
    names: dict[Axis, Axes] = {}
    for i, j in pairs:
        if not left.logical[i] or not right.logical[j]:
            continue
        of_left, of_right = refined(left.logical[i], right.logical[j])
        left, right = substituted(left, of_left), substituted(right, of_right)
        names |= {b: (a,) for a, b in zip(left.logical[i], right.logical[j], strict=True)}
    return left, substituted(right, names)


def reshaped(value: Value, shape: Sequence[int]) -> Value | None:
    """The view of PyTorch's `reshape`, or None if its dimensions cut through axes, as in (6, 4) to (8, 3)."""
    rest = list(flat(value.logical))
    dims: list[Axes] = []
    for wanted in shape:
        dim: list[Axis] = []
        left = wanted
        while left > 1:
            if not rest:
                return None
            axis = rest.pop(0)
            if left % axis.size == 0:
                dim.append(axis)
                left //= axis.size
            elif axis.size % left == 0:
                outer, inner = Axis(left), Axis(axis.size // left)
                value = substituted(value, {axis: (outer, inner)})
                dim.append(outer)
                rest.insert(0, inner)
                left = 1
            else:
                return None
        dims.append(tuple(dim))
    return value.seen_as(dims)


def joined(order: Sequence[Axis], apart: Sequence[Iterable[Axis]]) -> Dims:
    """`order` cut into the fewest dimensions that do not mix axes of a set in `apart` with other axes.

    order H W C, apart {H, W}     (H W), (C)
    """
    sets = [set(axes) for axes in apart]
    dims: list[list[Axis]] = []
    last: tuple[bool, ...] | None = None
    for axis in order:
        belongs = tuple(axis in one for one in sets)
        if belongs != last:
            dims.append([])
        dims[-1].append(axis)
        last = belongs
    return tuple(map(tuple, dims))
