"""Convolutions.

ATen       conv1d, conv2d (numbers, "same" or "valid" as padding), convolution; conv_transpose1d and 2d
TFLite     CONV_2D, DEPTHWISE_CONV_2D (one or more filters for each channel), TRANSPOSE_CONV
XNNPACK    takes all three in fp32, fp16 and int8, grouped CONV_2D too

    x (N, C, H, W), any view           laid out as (N), (H), (W), (C)
    weight (Cout, C/groups, kH, kW)    CONV_2D (Cout, kH, kW, C/groups), DEPTHWISE (1, kH, kW, Cout)
    padding: TFLite's SAME or VALID if one fits, else a PAD and VALID; XNNPACK fuses the PAD in fp32. The
    lowering `pad_rows` asks for a PAD by rows.

    transposed: weight (C, Cout/groups, kH, kW)    TRANSPOSE_CONV (Cout, kH, kW, C)
    A SLICE crops by `padding`, unless SAME does it.

If a ReLU is the only reader, the convolution computes it too; likewise the relu6(x + 3) of a hard sigmoid.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from exporters.tflite.direct.activation import SIXTH
from exporters.tflite.direct.arithmetic import binary
from exporters.tflite.direct.axes import Array, Axes, Value, axes_of
from exporters.tflite.direct.padding import padded_rows, padded_tensor
from exporters.tflite.direct.slices import sliced
from exporters.tflite.direct.unsupported import UnsupportedError
from exporters.tflite.direct.views import unsqueezed
from exporters.tflite.direct.writer import Operations, Writer, aten, both

Pair = tuple[int, int]


def conv2d(
    w: Writer,
    x: Value,
    weight: Value,
    bias: Value | None,
    stride: Sequence[int],
    padding: Sequence[int] | str,
    dilation: Sequence[int],
    groups: int,
) -> Value:
    if x.rank == 3:
        return _without_batch(conv2d(w, unsqueezed(x, 0), weight, bias, stride, padding, dilation, groups))
    kernel = w.array(weight)
    strides, dilations = both(stride), both(dilation)
    extents = [dilations[i] * (kernel.shape[2 + i] - 1) + 1 for i in (0, 1)]
    if padding == "same":
        pads = [((extent - 1) // 2, extent // 2) for extent in extents]
    elif padding == "valid":
        pads = [(0, 0), (0, 0)]
    else:
        pads = [(one, one) for one in both(padding)]  # type: ignore[arg-type]
    return convolved(w, x, kernel, bias, strides, pads, dilations, groups, weight.name)


def conv1d(
    w: Writer,
    x: Value,
    weight: Value,
    bias: Value | None,
    stride: Sequence[int],
    padding: Sequence[int] | str,
    dilation: Sequence[int],
    groups: int,
) -> Value:
    """A convolution of an image with one row."""
    if x.rank == 2:
        return _without_batch(conv1d(w, unsqueezed(x, 0), weight, bias, stride, padding, dilation, groups))
    kernel = w.constant(w.array(weight)[:, :, None], name=weight.name)
    pads = padding if isinstance(padding, str) else [0, *padding]
    y = conv2d(w, unsqueezed(x, 2), kernel, bias, [1, *stride], pads, [1, *dilation], groups)
    return y.seen_as((y.logical[0], y.logical[1], y.logical[3]))


def convolution(
    w: Writer,
    x: Value,
    weight: Value,
    bias: Value | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Value:
    """`aten.convolution`: in one or two dimensions, transposed or not."""
    flat = weight.rank == 3
    if transposed:
        write = conv_transpose1d if flat else conv_transpose2d
        return write(w, x, weight, bias, stride, padding, output_padding, groups, dilation)
    return (conv1d if flat else conv2d)(w, x, weight, bias, stride, padding, dilation, groups)


def convolved(
    w: Writer,
    x: Value,
    kernel: Array,
    bias: Value | None,
    strides: Pair,
    pads: Sequence[Pair],
    dilations: Pair,
    groups: int,
    name: str,
) -> Value:
    """A convolution with `pads` (before, after) of rows and of columns.

    x (N, C, H, W), kernel (Cout, C/groups, kH, kW) as numbers; `name` names the weight in the file.
    """
    if kernel.ndim != 4 or x.rank != 4:
        raise UnsupportedError(f"a convolution of {kernel.ndim - 2} dimensions")
    image, channels = _nhwc(x), x.shape[1]
    size = (x.shape[2], x.shape[3])
    cout, _, kh, kw = kernel.shape
    extents = [dilations[i] * (kernel.shape[2 + i] - 1) + 1 for i in (0, 1)]
    out = [(size[i] + sum(pads[i]) - extents[i]) // strides[i] + 1 for i in (0, 1)]
    tensor = w.layout.lay(x, image)
    tensor, mode = padded_for(w, tensor, size, extents, strides, pads, out)
    offsets = np.zeros(cout, np.float32) if bias is None else w.array(bias, "the bias")
    hard_sigmoid = w.followed_by(aten.hardsigmoid.default)
    if hard_sigmoid is not None:
        w.absorb(hard_sigmoid)
        offsets, activation = offsets + 3, w.file.schema.ActivationFunctionType.RELU6
    else:
        activation = w.fused()
    options = {
        "padding": mode,
        "strideH": strides[0],
        "strideW": strides[1],
        "dilationHFactor": dilations[0],
        "dilationWFactor": dilations[1],
        "fusedActivationFunction": activation,
    }
    if groups == channels > 1:
        kind, filters = "DEPTHWISE_CONV_2D", kernel.transpose(1, 2, 3, 0).reshape(1, kh, kw, cout)
        options["depthMultiplier"] = cout // channels
    else:
        kind, filters = "CONV_2D", kernel.transpose(0, 2, 3, 1)
    shape = (x.shape[0], *out, cout)
    weights = [w.file.weight(filters, name or "weight"), w.file.constant(offsets, _bias_name(name, bias))]
    y = _image(w, w.file.operator(kind, [tensor, *weights], shape, **options), x.logical[0], shape)
    return binary(w, "MUL", y, SIXTH) if hard_sigmoid is not None else y


def conv_transpose2d(
    w: Writer,
    x: Value,
    weight: Value,
    bias: Value | None,
    stride: Sequence[int],
    padding: Sequence[int],
    output_padding: Sequence[int],
    groups: int,
    dilation: Sequence[int],
) -> Value:
    if x.rank == 3:
        args = (weight, bias, stride, padding, output_padding, groups, dilation)
        return _without_batch(conv_transpose2d(w, unsqueezed(x, 0), *args))
    kernel = _dense(w.array(weight), groups, both(dilation))  # (C, Cout, kH, kW)
    strides, pads, extra = both(stride), both(padding), both(output_padding)
    size, (_, cout, *taps) = (x.shape[2], x.shape[3]), kernel.shape
    full = [(size[i] - 1) * strides[i] + taps[i] for i in (0, 1)]
    out = [full[i] - 2 * pads[i] + extra[i] for i in (0, 1)]
    offsets = np.zeros(cout, np.float32) if bias is None else w.array(bias, "the bias")
    same = all(
        out[i] == size[i] * strides[i] and (taps[i] - strides[i]) // 2 == pads[i] and taps[i] >= strides[i]
        for i in (0, 1)
    )
    # output_padding adds rows below the last window, which hold only the bias.
    made = out if same else [max(full[i], out[i] + pads[i]) for i in (0, 1)]
    tensor = w.layout.lay(x, _nhwc(x))
    shape = (x.shape[0], *made, cout)
    schema = w.file.schema
    result = w.file.operator(
        "TRANSPOSE_CONV",
        [
            w.index(shape, "shape"),
            w.file.weight(kernel.transpose(1, 2, 3, 0), weight.name or "weight"),
            tensor,
            w.file.constant(offsets, _bias_name(weight.name, bias)),
        ],
        shape,
        padding=schema.Padding.SAME if same else schema.Padding.VALID,
        strideH=strides[0],
        strideW=strides[1],
    )
    y = _image(w, result, x.logical[0], shape)
    for i in (0, 1):
        y = sliced(w, y, 2 + i, 0 if same else pads[i], out[i] + (0 if same else pads[i]))
    return y


def conv_transpose1d(
    w: Writer,
    x: Value,
    weight: Value,
    bias: Value | None,
    stride: Sequence[int],
    padding: Sequence[int],
    output_padding: Sequence[int],
    groups: int,
    dilation: Sequence[int],
) -> Value:
    kernel = w.constant(w.array(weight)[:, :, None], name=weight.name)
    row = unsqueezed(x, x.rank - 1)
    y = conv_transpose2d(
        w, row, kernel, bias, [1, *stride], [0, *padding], [0, *output_padding], groups, [1, *dilation]
    )
    return y.seen_as((*y.logical[:-2], y.logical[-1]))


def padded_for(
    w: Writer,
    tensor: int,
    size: Sequence[int],
    extents: Sequence[int],
    strides: Pair,
    pads: Sequence[Pair],
    out: Sequence[int],
) -> tuple[int, int]:
    """An NHWC tensor padded with zeros for windows of `extents`, and the operator's padding mode."""
    modes = w.file.schema.Padding
    need = needed(size, extents, strides, pads, out)
    if mode := mode_for(size, extents, strides, need, out):
        return tensor, getattr(modes, mode)
    by_rows = w.node is not None and w.node.meta.get("pad_rows", False)
    pad = padded_rows if by_rows else padded_tensor
    return pad(w, tensor, [(0, 0), *need, (0, 0)]), modes.VALID


def needed(
    size: Sequence[int],
    extents: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[Pair],
    out: Sequence[int],
) -> list[Pair]:
    """The zeros (before, after) that windows read around an image: of rows, then of columns."""
    read = [(out[i] - 1) * strides[i] + extents[i] for i in (0, 1)]
    return [(pads[i][0], max(read[i] - size[i] - pads[i][0], 0)) for i in (0, 1)]


def mode_for(
    size: Sequence[int],
    extents: Sequence[int],
    strides: Sequence[int],
    need: Sequence[Pair],
    out: Sequence[int],
) -> str:
    """ "VALID" or "SAME" if that pads by `need`, else "".

    SAME puts an odd row at the end. Where PyTorch has it at the beginning, a PAD is needed.
    """
    if not any(map(any, need)):
        return "VALID"
    same = []
    for i in (0, 1):
        total = max((-(-size[i] // strides[i]) - 1) * strides[i] + extents[i] - size[i], 0)
        same.append((total // 2, total - total // 2))
    fits = list(need) == same and all(out[i] == -(-size[i] // strides[i]) for i in (0, 1))
    return "SAME" if fits else ""


def _dense(kernel: Array, groups: int, dilations: Pair) -> Array:
    """The kernel of a transposed convolution as one without groups or dilation, filled up with zeros."""
    if groups > 1:
        cin, each, *taps = kernel.shape
        whole = np.zeros((groups, cin // groups, groups, each, *taps), np.float32)
        for group, part in enumerate(kernel.reshape(groups, cin // groups, each, *taps)):
            whole[group, :, group] = part
        kernel = whole.reshape(cin, groups * each, *taps)
    if dilations != (1, 1):
        cin, cout, kh, kw = kernel.shape
        wide = np.zeros((cin, cout, (kh - 1) * dilations[0] + 1, (kw - 1) * dilations[1] + 1), np.float32)
        wide[:, :, :: dilations[0], :: dilations[1]] = kernel
        kernel = wide
    return kernel


def _nhwc(x: Value) -> tuple[Axes, Axes, Axes, Axes]:
    n, c, h, width = x.logical
    return (n, h, width, c)


def _image(w: Writer, tensor: int, batch: Axes, shape: Sequence[int]) -> Value:
    """An NHWC tensor as an NCHW value."""
    h, width, c = axes_of(shape[1:])
    return w.value(tensor, (batch, h, width, c), (batch, c, h, width))


def _without_batch(y: Value) -> Value:
    return y.seen_as(y.logical[1:])


def _bias_name(weight: str, bias: Value | None) -> str:
    return bias.name if bias is not None and bias.name else f"{weight or 'weight'}.bias"


OPERATIONS: Operations = {
    aten.conv2d.default: conv2d,
    aten.conv2d.padding: conv2d,
    aten.conv1d.default: conv1d,
    aten.conv1d.padding: conv1d,
    aten.convolution.default: convolution,
    aten.conv_transpose2d.input: conv_transpose2d,
    aten.conv_transpose1d.default: conv_transpose1d,
}
