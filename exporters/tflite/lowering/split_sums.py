"""Write an early dense convolution as the sum of two with fewer rows: shorter sums, nearer to zero.

XNNPACK's kernels add products to the bias one by one and round each sum to fp16. The error grows as the
square root of the number of terms, and with the size of the sums: the bias, which cancels the mean of the
terms, starts them far from zero. In early layers neighbouring pixels are similar and are rounded alike. So
the pooling at the network's end does not average their errors out, as it does those of later layers.

    before   x - PAD - Conv 3x3 (W, b), stride 2 - y
    after    x - PAD -+---------- Conv 2x3 (rows 0 and 1 of W, s) -+- + r - y        s + t + r = b
                      +- [2:] - Conv 1x3 (row 2 of W, t) ----------+

s and t start each sum at minus half of what its terms probably add up to (`_likely_means`); r is the rest.

Shapes    x (N, C, H, W), W (M, C, 3, 3), y (N, M, H', W'); PAD is made by rows of W * C numbers
Refuses   sums of fewer than `LONG` terms; outputs smaller than `NEAR` pixels on a side; other kernels,
          strides and dilations; an image whose last rows or columns no window reads
Exact     yes (float64)
Source    mobilenetv4_conv_small, where two such layers caused three fifths of the error's variance. Their
          rounding error falls to three tenths, for 2.0 % more instructions
"""

from __future__ import annotations

import torch
from torch import Tensor, fx

from mocovit_deploy.graph.edit import argument, aten, module_path, shape_of
from mocovit_deploy.graph.insert import (
    insert_call,
    is_convolution,
    layer_weights,
    store,
    supplant,
)
from mocovit_deploy.passes.at_each import at_each
from mocovit_deploy.passes.result import Change, PassResult

LONG = 256
"""The fewest terms of a long sum."""
NEAR = 28
"""The smallest height and width, in pixels, of an early layer's output."""
KERNEL, STRIDE, TOP = 3, 2, 2
"""Height and width of the kernel, its stride, and the number of its rows in the first convolution."""
_RIDGE = 0.3
"""How strongly the means of channels are held to one value, relative to the mean square of W's columns."""


def split_sums(graph: fx.GraphModule) -> PassResult:
    """Return a new graph with two convolutions for each such layer."""
    return at_each(graph, (aten.conv2d.default,), _split_at)


def _split_at(graph: fx.GraphModule, layer: fx.Node) -> Change | None:
    x = argument(layer, "input")
    if not _is_long(graph, layer):
        return None
    pads = _pads(layer)
    if pads is None:
        return None
    found = layer_weights(graph, layer)
    assert found is not None
    weight, bias = found
    padded = _by_rows(layer, x, pads)
    rows = shape_of(padded)[2]
    below = insert_call(layer, aten.slice.Tensor, (padded, 2, TOP, rows), layer)
    means = _likely_means(weight.double().sum((2, 3)), bias.double())
    sums, rest = [], bias.double()
    for image, part in ((padded, weight[:, :, :TOP]), (below, weight[:, :, TOP:])):
        start = (-0.5 * (part.double().sum((2, 3)) @ means)).half().double()
        rest = rest - start
        stored = [
            store(graph, layer, name, one.to(weight.dtype), layer)
            for name, one in (("rows_weight", part), ("rows_start", start))
        ]
        how = [argument(layer, "stride"), [0, 0], [1, 1], 1]
        sums.append(insert_call(layer, layer.target, (image, *stored, *how), layer))
    total = insert_call(layer, aten.add.Tensor, tuple(sums), layer)
    left = store(graph, layer, "bias_left", rest.reshape(1, -1, 1, 1).to(weight.dtype), layer)
    change = Change(module_path(layer), f"{weight[0].numel()} terms in two sums")
    supplant(layer, insert_call(layer, aten.add.Tensor, (total, left), layer))
    return change


def _is_long(graph: fx.GraphModule, layer: fx.Node) -> bool:
    if not is_convolution(graph, layer) or argument(layer, "groups") != 1:
        return False
    _, channels, *kernel = shape_of(argument(layer, "weight"))
    sizes = (*shape_of(argument(layer, "input")), *shape_of(layer))
    if len(sizes) != 8 or not all(isinstance(one, int) for one in sizes):
        return False
    square = kernel == [KERNEL, KERNEL] and set(argument(layer, "stride")) == {STRIDE}
    plain = set(argument(layer, "dilation")) == {1}
    return square and plain and channels * KERNEL * KERNEL >= LONG and min(sizes[-2:]) >= NEAR


def _pads(layer: fx.Node) -> list[int] | None:
    """Padding: columns before and after, rows before and after. None if windows do not read all pixels."""
    pads: list[int] = []
    padding = argument(layer, "padding")
    for axis in (3, 2):
        before = padding[axis - 2 if len(padding) > 1 else 0]
        read = (shape_of(layer)[axis] - 1) * STRIDE + KERNEL
        after = read - shape_of(argument(layer, "input"))[axis] - before
        if after < 0:
            return None
        pads += [before, after]
    return pads


def _by_rows(layer: fx.Node, x: fx.Node, pads: list[int]) -> fx.Node:
    """x with zeros around it, which the writer copies a row at a time: pad_rows says why."""
    if not any(pads):
        return x
    n, channels, height, width = shape_of(x)
    y = insert_call(layer, aten.permute.default, (x, [0, 2, 3, 1]), layer)
    y = insert_call(layer, aten.reshape.default, (y, [n, height, width * channels]), layer)
    wide = [pads[0] * channels, pads[1] * channels, *pads[2:]]
    y = insert_call(layer, aten.constant_pad_nd.default, (y, wide), layer)
    size = [n, height + sum(pads[2:]), width + sum(pads[:2]), channels]
    y = insert_call(layer, aten.reshape.default, (y, size), layer)
    return insert_call(layer, aten.permute.default, (y, [0, 3, 1, 2]), layer)


def _likely_means(weight: Tensor, bias: Tensor) -> Tensor:
    """Means of the input's channels (K,) that bring the means of outputs (M,) near zero, and are similar.

    This needs no data: the bias comes from a BatchNorm, which subtracted the mean of the layer's outputs.
    """
    together = weight.sum(1)
    alike = -(together @ bias) / (together @ together).clamp_min(torch.finfo(torch.float64).tiny)
    square = weight.T @ weight
    square.diagonal().add_(_RIDGE * square.diagonal().mean().clamp_min(torch.finfo(torch.float64).tiny))
    apart: Tensor = torch.linalg.solve(square, weight.T @ (-bias - alike * together))
    return alike + apart
