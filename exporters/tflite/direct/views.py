"""Operations that change only the view: they write no operator.

ATen       reshape view flatten unflatten permute transpose movedim squeeze unsqueeze expand repeat
           contiguous clone detach alias dropout pixel_shuffle channel_shuffle
TFLite     nothing; a RESHAPE where PyTorch's dimensions cut through axes, as in (6, 4) to (8, 3)

    pixel_shuffle  (N, C r r, H, W)   seen as   (N, C, H r, W r)      one TRANSPOSE where it is read
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from exporters.tflite.direct.axes import Axis, Value, flat
from exporters.tflite.direct.unsupported import UnsupportedError
from exporters.tflite.direct.writer import Operations, Writer, aten


def unsqueezed(x: Value, dim: int) -> Value:
    """x with a dimension of size one before `dim`, which is counted from the front."""
    return x.seen_as((*x.logical[:dim], (), *x.logical[dim:]))


def identity(_w: Writer, x: Value, *_: Any) -> Value:
    return x


def reshape(w: Writer, x: Value, shape: Sequence[int]) -> Value:
    wanted = list(shape)
    if -1 in wanted:
        known = prod(one for one in wanted if one != -1)
        wanted[wanted.index(-1)] = prod(x.shape) // max(known, 1)
    return w.layout.reshape_view(x, wanted)


def reshape_as(w: Writer, x: Value, like: Value) -> Value:
    return reshape(w, x, like.shape)


def flatten(_w: Writer, x: Value, start: int = 0, end: int = -1) -> Value:
    if not x.rank:
        return x.seen_as([()])
    start, end = start % x.rank, end % x.rank
    return x.seen_as((*x.logical[:start], flat(x.logical[start : end + 1]), *x.logical[end + 1 :]))


def unflatten(w: Writer, x: Value, dim: int, parts: Sequence[int]) -> Value:
    dim %= x.rank
    known = prod(one for one in parts if one != -1)
    sizes = [x.shape[dim] // known if one == -1 else one for one in parts]
    return reshape(w, x, [*x.shape[:dim], *sizes, *x.shape[dim + 1 :]])


def permute(_w: Writer, x: Value, order: Sequence[int]) -> Value:
    return x.seen_as([x.logical[one] for one in order])


def transpose(_w: Writer, x: Value, first: int, second: int) -> Value:
    dims = list(x.logical)
    dims[first], dims[second] = dims[second], dims[first]
    return x.seen_as(dims)


def t(w: Writer, x: Value) -> Value:
    return transpose(w, x, 0, 1) if x.rank == 2 else x


def movedim(_w: Writer, x: Value, source: int | Sequence[int], target: int | Sequence[int]) -> Value:
    taken = [one % x.rank for one in ([source] if isinstance(source, int) else source)]
    put = [one % x.rank for one in ([target] if isinstance(target, int) else target)]
    rest = iter([one for one in range(x.rank) if one not in taken])
    order = [taken[put.index(one)] if one in put else next(rest) for one in range(x.rank)]
    return permute(_w, x, order)


def squeeze(_w: Writer, x: Value, dims: int | Sequence[int] | None = None) -> Value:
    chosen = range(x.rank) if dims is None else [dims] if isinstance(dims, int) else dims
    gone = {one % x.rank for one in chosen if x.rank and not x.logical[one]}
    return x.seen_as([axes for index, axes in enumerate(x.logical) if index not in gone])


def unsqueeze(_w: Writer, x: Value, dim: int) -> Value:
    return unsqueezed(x, dim % (x.rank + 1))


def expand(_w: Writer, x: Value, shape: Sequence[int], *_: Any) -> Value:
    logical = [()] * (len(shape) - x.rank) + list(x.logical)
    return x.seen_as(
        axes if axes or wanted in (1, -1) else (Axis(wanted),)
        for axes, wanted in zip(logical, shape, strict=True)
    )


def expand_as(w: Writer, x: Value, like: Value) -> Value:
    return expand(w, x, like.shape)


def repeat(_w: Writer, x: Value, times: Sequence[int]) -> Value:
    """Each dimension gets a broadcast axis outside its own axes."""
    logical = [()] * (len(times) - x.rank) + list(x.logical)
    return x.seen_as(
        (Axis(count), *axes) if count != 1 else axes for axes, count in zip(logical, times, strict=True)
    )


def repeat_interleave(_w: Writer, x: Value, times: int, dim: int | None = None, *_: Any) -> Value:
    """The dimension gets a broadcast axis inside its own axes."""
    if dim is None:
        x, dim = x.seen_as([flat(x.logical)]), 0
    dim %= x.rank
    extra = (Axis(times),) if times != 1 else ()
    return x.seen_as((*axes, *extra) if i == dim else axes for i, axes in enumerate(x.logical))


def contiguous(w: Writer, x: Value, *_: Any) -> Value:
    """The same value; in PyTorch's order in memory if a lowering set "lay_out" in the node's `meta`."""
    if w.node is not None and w.node.meta.get("lay_out"):
        return w.layout.straight(x)
    return x


def pixel_shuffle(w: Writer, x: Value, factor: int) -> Value:
    *batch, c, height, width = x.shape
    y = reshape(w, x, [*batch, c // factor**2, factor, factor, height, width])
    n = len(batch)
    y = permute(w, y, [*range(n), n, n + 3, n + 1, n + 4, n + 2])
    return reshape(w, y, [*batch, c // factor**2, height * factor, width * factor])


def pixel_unshuffle(w: Writer, x: Value, factor: int) -> Value:
    *batch, c, height, width = x.shape
    y = reshape(w, x, [*batch, c, height // factor, factor, width // factor, factor])
    n = len(batch)
    y = permute(w, y, [*range(n), n, n + 2, n + 4, n + 1, n + 3])
    return reshape(w, y, [*batch, c * factor**2, height // factor, width // factor])


def channel_shuffle(w: Writer, x: Value, groups: int) -> Value:
    y = reshape(w, x, [x.shape[0], groups, x.shape[1] // groups, *x.shape[2:]])
    return reshape(w, transpose(w, y, 1, 2), x.shape)


def unfold(w: Writer, x: Value, dim: int, size: int, step: int) -> Value:
    if size != step:
        raise UnsupportedError("windows that overlap")
    from exporters.tflite.direct.slices import sliced

    dim %= x.rank
    count = x.shape[dim] // size
    y = sliced(w, x, dim, 0, count * size)
    y = reshape(w, y, [*x.shape[:dim], count, size, *x.shape[dim + 1 :]])
    return movedim(w, y, dim + 1, -1)


OPERATIONS: Operations = {
    aten.reshape.default: reshape,
    aten.view.default: reshape,
    aten._unsafe_view.default: reshape,
    aten.view_as.default: reshape_as,
    aten.reshape_as.default: reshape_as,
    aten.flatten.using_ints: flatten,
    aten.unflatten.int: unflatten,
    aten.permute.default: permute,
    aten.transpose.int: transpose,
    aten.swapaxes.default: transpose,
    aten.t.default: t,
    aten.numpy_T.default: lambda w, x: permute(w, x, list(reversed(range(x.rank)))),
    aten.mT.default: lambda w, x: transpose(w, x, -1, -2),
    aten.movedim.int: movedim,
    aten.movedim.intlist: movedim,
    aten.squeeze.default: squeeze,
    aten.squeeze.dim: squeeze,
    aten.squeeze.dims: squeeze,
    aten.unsqueeze.default: unsqueeze,
    aten.expand.default: expand,
    aten.expand_as.default: expand_as,
    aten.broadcast_to.default: expand,
    aten.repeat.default: repeat,
    aten.tile.default: lambda w, x, times: repeat(w, x, [1] * (x.rank - len(times)) + list(times)),
    aten.repeat_interleave.self_int: repeat_interleave,
    aten.contiguous.default: contiguous,
    aten.clone.default: contiguous,
    aten.detach.default: identity,
    aten.alias.default: identity,
    aten.lift_fresh_copy.default: identity,
    aten.dropout.default: identity,
    aten.pixel_shuffle.default: pixel_shuffle,
    aten.pixel_unshuffle.default: pixel_unshuffle,
    aten.channel_shuffle.default: channel_shuffle,
    aten.unfold.default: unfold,
}
