"""Correct the zero padding of a convolution that absorbs a per-channel map of its input.

The convolution pads *after* the map; once it has absorbed the map, it pads before it:

    before   x - (s*x + t) - pad 0 - Conv(W, b) - y
    after    x - pad c - Conv(W*s, b') - y            if s*c + t = 0 in every channel, for one number c
    after    x - pad 0 - Conv(W*s, b') - + K - y      else; K is zero inside and corrects the border

K = -Conv(W)(t where x is padded, 0 elsewhere), which a border of t would add. It is computed once.

Shapes    x (N, C, H, W), s and t (C,), c a number, K (1, Cout, Hout, Wout)
Refuses   a K with more numbers than the map computes, or more than `LARGEST_CORRECTION`; a free image size
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx

from mocovit_deploy.graph.edit import (
    add_parameter,
    argument,
    aten,
    module_path,
    set_argument,
    shape_of,
)
from mocovit_deploy.passes.algebra.affine import Affine
from mocovit_deploy.passes.algebra.plan import FoldPlan, Refused, argument_tensor

LARGEST_CORRECTION = 1 << 16
"""The most numbers in one K, which take 256 KB of a file."""


def move_border(graph: fx.GraphModule, layer: fx.Node, wanted: Affine) -> FoldPlan | Refused:
    """The edits that keep the border of a convolution right when it absorbs the map `wanted` of its input.

    The plan is empty if the convolution does not pad. Call this before the weights are changed.
    """
    pads = zero_padding(graph, layer)
    if not any(map(any, pads)) or not bool(wanted.shift.any()):
        return FoldPlan((), ())
    border = wanted.border_for(0.0)
    return (
        _correct(graph, layer, wanted, pads)
        if border is None
        else _pad_explicitly(graph, layer, pads, border)
    )


def zero_padding(graph: fx.GraphModule, layer: fx.Node) -> list[tuple[int, int]]:
    """For each spatial axis, how many zeros the convolution adds before and after it."""
    sizes = argument_tensor(graph, layer, "weight").shape[2:]
    axes = len(sizes)
    padding: Any = argument(layer, "padding")
    if padding == "valid":
        return [(0, 0)] * axes
    if padding == "same":
        dilation = per_axis(argument(layer, "dilation"), axes)
        spans = [d * (size - 1) for d, size in zip(dilation, sizes, strict=True)]
        return [(span // 2, span - span // 2) for span in spans]
    return [(amount, amount) for amount in per_axis(padding, axes)]


def _pad_explicitly(
    graph: fx.GraphModule, layer: fx.Node, pads: list[tuple[int, int]], border: float
) -> FoldPlan:
    def edit() -> None:
        sides = _as_sides(pads)
        source = layer.args[0]
        assert isinstance(source, fx.Node)
        with graph.graph.inserting_before(layer):
            padded = graph.graph.call_function(aten.constant_pad_nd.default, (source, sides, border))
        padded.meta = {**layer.meta, "val": aten.constant_pad_nd.default(source.meta["val"], sides, border)}
        layer.update_arg(0, padded)
        if isinstance(argument(layer, "padding"), str):
            set_argument(layer, "padding", "valid")
        else:
            set_argument(layer, "padding", [0] * len(pads))

    return FoldPlan((edit,), ())


def _correct(
    graph: fx.GraphModule, layer: fx.Node, wanted: Affine, pads: list[tuple[int, int]]
) -> FoldPlan | Refused:
    source = layer.args[0]
    assert isinstance(source, fx.Node)
    (_, channels, *size), (_, outputs, *out_size) = shape_of(source), shape_of(layer)
    where = module_path(layer)
    if not all(isinstance(length, int) for length in (*size, *out_size)):
        return Refused(
            f"{where} pads with zeros, and the border of images of a free size cannot be corrected"
        )
    numbers = outputs * math.prod(out_size)
    if numbers > min(channels * math.prod(size), LARGEST_CORRECTION):
        return Refused(
            f"{where} pads with zeros, no single number becomes zero in the BatchNorm, and to correct the "
            f"border would take {numbers:,} numbers"
        )
    weight = argument_tensor(graph, layer, "weight")
    with torch.no_grad():
        correction = _correction(layer, weight, wanted, size, pads).to(weight.dtype)
    if not bool(correction.isfinite().all()):
        return Refused(f"folding it into {where} would overflow: its variance is too close to zero")

    def edit() -> None:
        read = add_parameter(graph, argument(layer, "weight"), "border", correction)
        with graph.graph.inserting_after(layer):
            corrected = graph.graph.call_function(aten.add.Tensor, (layer, read))
        corrected.meta = dict(layer.meta)
        layer.replace_all_uses_with(corrected, delete_user_cb=lambda user: user is not corrected)

    return FoldPlan((edit,), ())


def _correction(
    layer: fx.Node, weight: Tensor, wanted: Affine, size: list[int], pads: list[tuple[int, int]]
) -> Tensor:
    """K of the module's docstring, (1, Cout, ...), in float64."""
    axes = len(size)
    ring = F.pad(torch.zeros(1, 1, *size, dtype=torch.float64), _as_sides(pads), value=1.0)
    border = ring * wanted.shift.reshape(1, -1, *[1] * axes)
    stride, dilation = (per_axis(argument(layer, name), axes) for name in ("stride", "dilation"))
    convolve = aten.conv1d.default if axes == 1 else aten.conv2d.default
    result: Tensor = -convolve(
        border, weight.double(), None, stride, [0] * axes, dilation, argument(layer, "groups")
    )
    return result


def _as_sides(pads: list[tuple[int, int]]) -> list[int]:
    """The argument of torch's `pad`: the amounts of the last axis first."""
    return [amount for pair in reversed(pads) for amount in pair]


def per_axis(value: Any, axes: int) -> list[int]:
    """An argument that is one number for all spatial axes, or one number for each, as one for each."""
    numbers = [value] if isinstance(value, int) else list(value)
    return numbers * axes if len(numbers) == 1 else numbers
