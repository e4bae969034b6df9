"""Moving data: a value is brought into the layout that an operator needs, by RESHAPE, TRANSPOSE, RESHAPE.

    held (H), (W), (C)     wanted (C), (H W)      RESHAPE (H W), (C) - TRANSPOSE (C), (H W)
    held (H), (W), (C)     wanted (H W), (C)      RESHAPE
    held (H), (W), (C)     wanted (H), (W), (C)   nothing

One MUL with ones, which is exact, makes the broadcast axes that an operator needs in memory.
XNNPACK takes RESHAPE, TRANSPOSE and MUL of up to six dimensions in fp32, fp16 and int8.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from exporters.tflite.direct.axes import Axes, Axis, Dims, Value, axes_of, flat, joined, reshaped, size, sizes
from exporters.tflite.direct.file import File
from exporters.tflite.direct.unsupported import UnsupportedError

MOST_DIMS = 6
"""The most dimensions that TRANSPOSE and broadcasting take, in XNNPACK and in TFLite's own kernels."""


class Layout:
    """Moves values into the layouts that operators need. Each move is written once and then reused."""

    def __init__(self, file: File) -> None:
        self.file = file
        self._moved: dict[Any, int] = {}

    def tensor(self, value: Value) -> int:
        """The tensor of a value with its physical dimensions as they are."""
        return self.lay(value, value.physical)

    def lay(self, value: Value, dims: Dims) -> int:
        """A tensor that holds `value` with physical dimensions `dims`.

        `dims` holds every axis of the value's tensor, in any order; it may also hold broadcast axes of the
        value. Raises `UnsupportedError` if more axes move than the operators take.
        """
        order = flat(dims)
        if value.array is not None:
            return self.file.constant(_arranged(value, dims), value.name or "constant")
        assert value.tensor is not None
        held = value.order
        repeated = [axis for axis in order if axis not in set(held)]
        if repeated:
            return self.reshape(self._repeated(value, order, repeated), sizes(dims))
        assert set(order) == set(held), "axes lost or made up"
        if order == held:
            return self.reshape(value.tensor, sizes(dims))
        source, permutation = _transposition(value.physical, dims)
        moved = self.reshape(value.tensor, source)
        return self.reshape(self.transpose(moved, permutation), sizes(dims))

    def moved(self, value: Value, dims: Dims) -> Value:
        """The same value with the physical dimensions `dims`."""
        if value.array is not None:
            return replace(value, physical=dims, array=_arranged(value, dims))
        return replace(value, tensor=self.lay(value, dims), physical=dims)

    def straight(self, value: Value) -> Value:
        """The same value in PyTorch's order in memory, with one new axis for each dimension."""
        moved = self.moved(value, value.logical)
        dims = axes_of(value.shape)
        return replace(moved, physical=dims, logical=dims)

    def with_last(self, value: Value, axes: Axes) -> Value:
        """The same value with exactly `axes` as its last physical dimension.

        If `axes` are last in memory already, no data moves and the other dimensions stay as they are.
        """
        inside = set(axes)
        if value.order[len(value.order) - len(axes) :] == axes:
            cut = [(dim, tuple(axis for axis in dim if axis not in inside)) for dim in value.physical]
            kept = tuple(rest for dim, rest in cut if rest or not dim)
            return self.moved(value, (*kept, axes))
        rest = tuple(axis for axis in value.order if axis not in inside)
        return self.moved(value, (rest, axes))

    def apart(self, value: Value, axes: Sequence[Axes]) -> Value:
        """The same value with no physical dimension that mixes axes of one of these sets with others."""
        sets = [set(one) for one in axes]
        mixed = any(0 < len(wanted.intersection(dim)) < len(dim) for wanted in sets for dim in value.physical)
        return self.moved(value, joined(value.order, axes)) if mixed else value

    def in_one(self, value: Value, index: int, least_rank: int = 1) -> tuple[Value, int]:
        """`alone` for a single dimension."""
        value, (place,) = self.alone(value, [index], least_rank)
        return value, place

    def alone(self, value: Value, indices: Sequence[int], least_rank: int = 1) -> tuple[Value, list[int]]:
        """The same value with each of these logical dimensions as a physical dimension of its own.

        Also returns the indices of those physical dimensions. A dimension of size one has no axes: the n-th
        of them in the view is the n-th of them in the tensor. A tensor of less than `least_rank` dimensions
        gets ones in front.
        """
        indices = [index % value.rank for index in indices]
        wanted = [value.logical[index] for index in indices]
        ones = [i for i, axes in enumerate(value.logical) if not axes]
        free = [i for i, axes in enumerate(value.physical) if not axes]
        if all(axes in value.physical if axes else len(ones) == len(free) for axes in wanted):
            places = [
                value.physical.index(axes) if axes else free[ones.index(index)]
                for axes, index in zip(wanted, indices, strict=True)
            ]
            more = max(0, least_rank - len(value.physical))
            if not more:
                return value, places
            return self.moved(value, ((),) * more + value.physical), [more + place for place in places]
        if not all(wanted):
            return self.moved(value, value.logical), indices
        order: list[Axis] = []
        for axis in (*value.order, *flat(wanted)):
            mine = next((axes for axes in wanted if axis in axes), (axis,))
            order += mine if axis not in order else ()
        dims = joined(order, wanted)
        dims = ((),) * (least_rank - len(dims)) + dims
        return self.moved(value, dims), [dims.index(axes) for axes in wanted]

    def reshape_view(self, value: Value, shape: Sequence[int]) -> Value:
        """PyTorch's `reshape`: a view if its dimensions allow that, else after moving to PyTorch's order."""
        found = reshaped(value, shape)
        if found is None:
            held = self.moved(value, (flat(value.logical),))
            total = Axis(size(flat(value.logical)))
            found = reshaped(replace(held, physical=((total,),), logical=((total,),)), shape)
        assert found is not None
        return found

    def reshape(self, tensor: int, shape: Sequence[int], *, always: bool = False) -> int:
        """RESHAPE of a tensor; the tensor itself if it has that shape, unless `always` is set."""
        shape = tuple(map(int, shape))
        if self.file.shape(tensor) == shape and not always:
            return tensor
        wanted = self.file.constant(np.array(shape, np.int32), "shape")

        def write() -> int:
            dtype = self.file.dtype(tensor)
            return self.file.operator("RESHAPE", [tensor, wanted], shape, dtype, newShape=list(shape))

        return write() if always else self.once(("RESHAPE", tensor, shape), write)

    def transpose(self, tensor: int, order: Sequence[int]) -> int:
        """TRANSPOSE of a tensor."""
        held, wanted = self.file.shape(tensor), self.file.constant(np.array(order, np.int32), "order")
        shape, dtype = [held[index] for index in order], self.file.dtype(tensor)
        return self.once(
            ("TRANSPOSE", tensor, tuple(order)),
            lambda: self.file.operator("TRANSPOSE", [tensor, wanted], shape, dtype),
        )

    def once(self, key: Any, write: Callable[[], int]) -> int:
        """The result of `write()`, or its earlier result for the same key."""
        if key not in self._moved:
            self._moved[key] = write()
        return self._moved[key]

    def _repeated(self, value: Value, order: Axes, repeated: Sequence[Axis]) -> int:
        """A tensor with the axes `order`, made by repeating the value along the axes `repeated`."""
        if value.dtype == np.bool_:
            raise UnsupportedError("it repeats booleans along a dimension")
        absent = set(repeated)
        dims = joined(order, [repeated])
        if len(dims) > MOST_DIMS:
            raise UnsupportedError(f"it repeats along {len(dims)} dimensions, MUL takes {MOST_DIMS}")
        held = self.lay(value, tuple(() if dim[0] in absent else dim for dim in dims))
        ones = np.ones([size(dim) if dim[0] in absent else 1 for dim in dims], value.dtype)
        return self.once(
            ("repeat", held, ones.shape),
            lambda: self.file.operator(
                "MUL", [held, self.file.constant(ones, "ones")], sizes(dims), value.dtype
            ),
        )


def _transposition(held: Dims, wanted: Dims) -> tuple[list[int], list[int]]:
    """The shape to transpose, and the order, with the fewest RESHAPEs before and after.

    (), (H), (W), (C)   to   (), (C), (H), (W)     1 H W C by 0 3 1 2, no RESHAPE
    (), (H), (W), (C)   to   (), (C), (H W)        1 H W C by 0 3 1 2, then a RESHAPE

    Raises `UnsupportedError` if more than `MOST_DIMS` dimensions would have to move.
    """
    plans = [
        plan
        for keep_held in (True, False)
        for keep_wanted in (True, False)
        if (plan := _pieces(held, wanted, keep_held=keep_held, keep_wanted=keep_wanted))
    ]
    fitting = [(cost, len(shape), shape, order) for cost, shape, order in plans if len(shape) <= MOST_DIMS]
    if not fitting:
        raise UnsupportedError(f"it moves more axes at once than TRANSPOSE takes ({MOST_DIMS})")
    _, _, shape, order = min(fitting, key=lambda one: one[:2])
    return shape, order


def _pieces(
    held: Dims, wanted: Dims, *, keep_held: bool, keep_wanted: bool
) -> tuple[int, list[int], list[int]] | None:
    """The plan (number of RESHAPEs, shape, order); None if it would have to cut through a dimension.

    `keep_held` needs no RESHAPE before the TRANSPOSE, `keep_wanted` none after it.
    """
    place = {axis: index for index, axis in enumerate(flat(held))}
    begins = {dim[0] for dim in (*(held if keep_held else ()), *(wanted if keep_wanted else ())) if dim}
    pieces: list[Axes] = []
    for axis in flat(wanted):
        last = pieces[-1][-1] if pieces else None
        if last is None or place[axis] != place[last] + 1 or axis in begins:
            pieces.append((axis,))
        else:
            pieces[-1] = (*pieces[-1], axis)
    if keep_held and any(dim and dim not in pieces for dim in held):
        return None
    if keep_wanted and any(dim and dim not in pieces for dim in wanted):
        return None
    ones = [sum(not dim for dim in dims) for dims in (held, wanted)]
    if keep_held and keep_wanted and ones[0] != ones[1]:
        return None
    source: list[Axes] = sorted(pieces, key=lambda piece: place[piece[0]])
    if keep_held:
        source = list(held)
    elif keep_wanted:
        source = [*[()] * ones[1], *source]
    free = [index for index, piece in enumerate(source) if not piece]
    order = [source.index(dim) if dim else free.pop(0) for dim in (wanted if keep_wanted else pieces)]
    order = [*free, *order]
    return 2 - keep_held - keep_wanted, [size(piece) for piece in source], order


def _arranged(value: Value, dims: Dims) -> Any:
    """A constant's numbers with these physical dimensions."""
    assert value.array is not None
    order, held = flat(dims), value.order
    array = value.array.reshape([axis.size for axis in held])
    extra = [axis for axis in order if axis not in set(held)]
    if extra:
        array = np.broadcast_to(array, [*(a.size for a in extra), *array.shape])
    place = {axis: index for index, axis in enumerate((*extra, *held))}
    return array.transpose([place[axis] for axis in order]).reshape(sizes(dims))
