"""Padding.

ATen       pad (constant, reflect, replicate, circular), constant_pad_nd, zero padding of convolutions
TFLite     PAD for zeros; CONCATENATION with a constant for any other number (XNNPACK never takes PADV2);
           CONCATENATION of slices for the other modes (XNNPACK never takes MIRROR_PAD)
XNNPACK    takes PAD of up to six dimensions in fp32, fp16 and int8; in fp32 it fuses a PAD of rows and
           columns into the convolution after it
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from exporters.tflite.direct.axes import Value, axes_of
from exporters.tflite.direct.concat import concatenated
from exporters.tflite.direct.unsupported import UnsupportedError
from exporters.tflite.direct.writer import Operations, Writer, aten

Pair = tuple[int, int]


def padded_tensor(w: Writer, tensor: int, pads: Sequence[Pair]) -> int:
    """A tensor of the file with zeros before and after, along each of its dimensions."""
    shape = [size + sum(pad) for size, pad in zip(w.file.shape(tensor), pads, strict=True)]
    table = w.index([list(pad) for pad in pads], "pads")
    return w.layout.once(
        ("PAD", tensor, tuple(pads)),
        lambda: w.file.operator("PAD", [tensor, table], shape, w.file.dtype(tensor)),
    )


def padded_rows(w: Writer, tensor: int, pads: Sequence[Pair]) -> int:
    """An NHWC tensor with zeros around its images, padded as rows of W * C numbers: `pads` of N, H, W and C.

    before   (N, H, W, C) - PAD - (N, H', W', C)                          a copy for each pixel
    after    (N, H, W, C) - RESHAPE (N, H, W C) - PAD - RESHAPE           a copy for each row
    """
    n, height, width, channels = w.file.shape(tensor)
    before, after = pads[2]
    wide = [pads[0], pads[1], (before * channels, after * channels)]
    padded = padded_tensor(w, w.layout.reshape(tensor, [n, height, width * channels]), wide)
    return w.layout.reshape(padded, [n, height + sum(pads[1]), width + before + after, channels])


def zeros_around(w: Writer, x: Value, pads: Sequence[Pair]) -> Value:
    """A value with zeros before and after, along each of PyTorch's dimensions."""
    if not any(map(any, pads)):
        return x
    x = w.layout.straight(x) if x.broadcast else x
    if x.array is not None:
        return w.constant(np.pad(w.array(x), pads))
    padded = [dim for dim, one in enumerate(pads) if any(one)]
    x, places = w.layout.alone(x, padded)
    table, physical, logical = [(0, 0)] * len(x.physical), list(x.physical), list(x.logical)
    for dim, place in zip(padded, places, strict=True):
        table[place] = pads[dim]
        physical[place] = logical[dim] = axes_of([x.shape[dim] + sum(pads[dim])])[0]
    return w.value(padded_tensor(w, w.layout.tensor(x), table), tuple(physical), logical)


def pad(
    w: Writer, x: Value, numbers: Sequence[int], mode: str = "constant", value: float | None = None
) -> Value:
    """PyTorch's `pad`: `numbers` are (before, after) of the last dimension, then of the one before it."""
    pads: list[Pair] = [(0, 0)] * x.rank
    for i in range(len(numbers) // 2):
        pads[x.rank - 1 - i] = (numbers[2 * i], numbers[2 * i + 1])
    x, pads = _cut(w, x, pads)
    if mode == "constant" and not value:
        return zeros_around(w, x, pads)
    for dim, (before, after) in enumerate(pads):
        if before or after:
            x = _surrounded(w, x, dim, before, after, mode, value or 0)
    return x


def constant_pad_nd(w: Writer, x: Value, numbers: Sequence[int], value: float = 0) -> Value:
    return pad(w, x, numbers, "constant", value)


def _cut(w: Writer, x: Value, pads: Sequence[Pair]) -> tuple[Value, list[Pair]]:
    """The value cropped by the negative pads, and the pads without them."""
    from exporters.tflite.direct.slices import sliced

    for dim, (before, after) in enumerate(pads):
        if before < 0 or after < 0:
            x = sliced(w, x, dim, max(-before, 0), x.shape[dim] - max(-after, 0))
    return x, [(max(before, 0), max(after, 0)) for before, after in pads]


def filled_around(w: Writer, x: Value, dim: int, before: int, after: int, number: float) -> Value:
    """`number`, `before` and `after` times, around one dimension, by CONCATENATION with constants."""
    shape = x.shape
    parts = [
        w.constant(np.full([count if i == dim else one for i, one in enumerate(shape)], number, x.dtype))
        for count in (before, after)
    ]
    return concatenated(w, [one for one in (parts[0], x, parts[1]) if one.shape[dim]], dim)


def _surrounded(w: Writer, x: Value, dim: int, before: int, after: int, mode: str, number: float) -> Value:
    from exporters.tflite.direct.slices import taken

    count = x.shape[dim]
    if mode == "constant":
        return filled_around(w, x, dim, before, after, number)
    places = np.arange(-before, count + after)
    if mode == "circular":
        numbers = places % count
    elif mode == "replicate":
        numbers = places.clip(0, count - 1)
    elif mode == "reflect":
        numbers = np.abs(places)
        numbers = np.where(numbers >= count, 2 * (count - 1) - numbers, numbers)
    else:
        raise UnsupportedError(f"padding in mode {mode!r}")
    return taken(w, x, dim, [int(one) for one in numbers])


OPERATIONS: Operations = {
    aten.pad.default: pad,
    aten.constant_pad_nd.default: constant_pad_nd,
    aten.reflection_pad1d.default: lambda w, x, numbers: pad(w, x, numbers, "reflect"),
    aten.reflection_pad2d.default: lambda w, x, numbers: pad(w, x, numbers, "reflect"),
    aten.replication_pad1d.default: lambda w, x, numbers: pad(w, x, numbers, "replicate"),
    aten.replication_pad2d.default: lambda w, x, numbers: pad(w, x, numbers, "replicate"),
}
