"""Moving values without computing: shapes, slices, joins, gathers, padding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mocovit_deploy.artifacts.artifact import Array


def reshape(x: Array, shape: Sequence[int], allowzero: bool = False) -> Array:
    """-1 takes what is left; 0 keeps the dimension of x at that place."""
    wanted = [int(n) for n in shape]
    if not allowzero:
        wanted = [x.shape[axis] if n == 0 else n for axis, n in enumerate(wanted)]
    return np.reshape(x, wanted)


def transpose(x: Array, perm: Sequence[int]) -> Array:
    return np.transpose(x, [int(axis) for axis in perm])


def expand_dims(x: Array, axes: Sequence[int]) -> Array:
    return np.expand_dims(x, tuple(int(axis) for axis in axes))


def squeeze(x: Array, axes: Sequence[int] | None = None) -> Array:
    return np.squeeze(x, None if axes is None else tuple(int(axis) for axis in axes))


def concat(values: Sequence[Array], axis: int, interleave: bool) -> Array:
    """Joined along `axis`: one array after the other, or with `interleave` a0 b0 a1 b1 ..."""
    if not interleave:
        return np.concatenate(values, axis)
    axis %= values[0].ndim
    shape = list(values[0].shape)
    shape[axis] *= len(values)
    return np.stack(values, axis + 1).reshape(shape)


def stack(values: Sequence[Array], axis: int) -> Array:
    return np.stack(values, axis)


def split(
    x: Array, axis: int, num_splits: int | None = None, split_sizes: Sequence[int] | None = None
) -> list[Array]:
    """`split_sizes` where given, else `num_splits` equal parts."""
    if split_sizes is None:
        return np.split(x, num_splits or 1, axis)
    return np.split(x, np.cumsum(split_sizes)[:-1], axis)


def slice_by_index(
    x: Array,
    begin: Sequence[int],
    end: Sequence[int],
    stride: Sequence[int] | None = None,
    begin_mask: Sequence[bool] | None = None,
    end_mask: Sequence[bool] | None = None,
    squeeze_mask: Sequence[bool] | None = None,
) -> Array:
    """x[begin:end:stride] along every axis.

    A bound whose mask is true is ignored. A squeezed axis takes the sample at `begin`, and is dropped.
    """
    index: list[slice | int] = []
    for axis in range(x.ndim):
        if squeeze_mask is not None and squeeze_mask[axis]:
            index.append(int(begin[axis]))
            continue
        first = None if begin_mask is not None and begin_mask[axis] else int(begin[axis])
        last = None if end_mask is not None and end_mask[axis] else int(end[axis])
        index.append(slice(first, last, 1 if stride is None else int(stride[axis])))
    return np.asarray(x[tuple(index)])


def slice_by_size(x: Array, begin: Sequence[int], size: Sequence[int]) -> Array:
    """`size` samples from `begin` on; -1 takes the rest."""
    index = []
    for axis, (start, count) in enumerate(zip(begin, size, strict=True)):
        first = int(start) % x.shape[axis]
        index.append(slice(first, None if count == -1 else first + int(count)))
    return x[tuple(index)]


def crop(x: Array, crop_height: Sequence[int], crop_width: Sequence[int]) -> Array:
    """x without `crop_height` (top, bottom) and `crop_width` (left, right) samples of its last two axes."""
    height, width = x.shape[-2:]
    rows = slice(int(crop_height[0]), height - int(crop_height[1]))
    return x[..., rows, int(crop_width[0]) : width - int(crop_width[1])]


def gather(
    x: Array, indices: Array | int, axis: int, batch_dims: int = 0, validate_indices: bool = False
) -> Array:
    """Slices of x along `axis`; with `batch_dims` leading axes, each batch has indices of its own."""
    if batch_dims == 0:
        return np.asarray(np.take(x, indices, axis))
    rows = np.asarray(indices)
    axis %= x.ndim
    lead = x.shape[:batch_dims]
    taken = [np.take(x[at], rows[at], axis - batch_dims) for at in np.ndindex(*lead)]
    return np.stack(taken).reshape(*lead, *taken[0].shape)


def gather_along_axis(x: Array, indices: Array, axis: int, validate_indices: bool = False) -> Array:
    return np.take_along_axis(x, indices, axis)


def pad(x: Array, pad: Sequence[int], mode: str, constant_val: Array) -> Array:
    """`pad` holds one pair (before, after) for each of the *last* axes of x."""
    pairs = np.asarray(pad, np.int64).reshape(-1, 2)
    widths = [(0, 0)] * (x.ndim - len(pairs)) + [(int(before), int(after)) for before, after in pairs]
    if mode == "constant":
        return np.pad(x, widths, constant_values=constant_val)
    if mode == "reflect":
        return np.pad(x, widths, "reflect")
    if mode == "replicate":
        return np.pad(x, widths, "edge")
    raise ValueError(f"mode {mode!r}")


def tile(x: Array, reps: Sequence[int]) -> Array:
    return np.tile(x, tuple(int(n) for n in reps))


def reverse(x: Array, axes: Sequence[int] | None = None) -> Array:
    return np.flip(x, None if axes is None else tuple(int(axis) for axis in axes))


def pixel_shuffle(x: Array, upscale_factor: int) -> Array:
    """(N, C f f, H, W) -> (N, C, H f, W f), the channel index being (c, i, j)."""
    n, c, h, w = x.shape
    f = upscale_factor
    blocks = x.reshape(n, c // f**2, f, f, h, w)
    return blocks.transpose(0, 1, 4, 2, 5, 3).reshape(n, c // f**2, h * f, w * f)


def pixel_unshuffle(x: Array, downscale_factor: int) -> Array:
    """(N, C, H f, W f) -> (N, C f f, H, W), the inverse of `pixel_shuffle`."""
    n, c, h, w = x.shape
    f = downscale_factor
    blocks = x.reshape(n, c, h // f, f, w // f, f)
    return blocks.transpose(0, 1, 3, 5, 2, 4).reshape(n, c * f**2, h // f, w // f)


def depth_to_space(x: Array, block_size: int) -> Array:
    """(N, b b C, H, W) -> (N, C, H b, W b), the channel index being (i, j, c): TensorFlow's order."""
    n, c, h, w = x.shape
    b = block_size
    blocks = x.reshape(n, b, b, c // b**2, h, w)
    return blocks.transpose(0, 3, 4, 1, 5, 2).reshape(n, c // b**2, h * b, w * b)


def space_to_depth(x: Array, block_size: int) -> Array:
    """(N, C, H b, W b) -> (N, b b C, H, W), the inverse of `depth_to_space`."""
    n, c, h, w = x.shape
    b = block_size
    blocks = x.reshape(n, c, h // b, b, w // b, b)
    return blocks.transpose(0, 3, 5, 1, 2, 4).reshape(n, c * b**2, h // b, w // b)


OPERATIONS = (
    ("concat", concat),
    ("crop", crop),
    ("depth_to_space", depth_to_space),
    ("expand_dims", expand_dims),
    ("gather", gather),
    ("gather_along_axis", gather_along_axis),
    ("pad", pad),
    ("pixel_shuffle", pixel_shuffle),
    ("pixel_unshuffle", pixel_unshuffle),
    ("reshape", reshape),
    ("reverse", reverse),
    ("slice_by_index", slice_by_index),
    ("slice_by_size", slice_by_size),
    ("space_to_depth", space_to_depth),
    ("split", split),
    ("squeeze", squeeze),
    ("stack", stack),
    ("tile", tile),
    ("transpose", transpose),
)
