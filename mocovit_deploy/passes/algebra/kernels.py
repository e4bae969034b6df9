"""The algebra of parallel convolutions: each as taps on the same input, all of them as one kernel.

Along one axis, output o of a convolution reads the input at stride * o + t for its taps

    t = -padding + dilation * j        j = 0 .. kernel - 1

and zeros outside the image. Two convolutions of one input with one stride add tap by tap, so kernel sizes,
paddings and dilations may differ as long as one regular grid holds all taps: a 1x1 kernel is the centre of a
padded 3x3 one, a dilated 3x3 every other tap of a 5x5. A per-channel map (identity, BatchNorm) is a 1x1
depthwise convolution. Channels go the same way: a kernel with G groups is one with g groups, where g divides
G, that is zero outside its diagonal blocks.

Everything is computed in float64; the caller rounds once, to the dtype it stores.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from mocovit_deploy.passes.algebra.affine import Affine


@dataclass(frozen=True)
class Kernel:
    """A convolution of N spatial axes: weight (Cout, Cin / groups, *kernel), bias (Cout,), both float64."""

    weight: Tensor
    bias: Tensor
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    @property
    def taps(self) -> tuple[list[int], ...]:
        """For each spatial axis, where the kernel reads, relative to stride * output position."""
        return tuple(
            [dilation * j - padding for j in range(size)]
            for size, padding, dilation in zip(
                self.weight.shape[2:], self.padding, self.dilation, strict=True
            )
        )


def of_channels(affine: Affine, axes: int) -> Kernel:
    """A per-channel map as a depthwise 1x1 convolution of `axes` spatial axes; bias and scale (C,)."""
    channels, ones = len(affine.scale), (1,) * axes
    return Kernel(affine.scale.reshape(-1, 1, *ones), affine.shift, ones, (0,) * axes, ones, channels)


def add_kernels(kernels: Sequence[Kernel]) -> Kernel:
    """The one convolution that computes the sum of `kernels`, on the coarsest grid that holds all their taps.

    All have the same stride, as many channels in and out, and give outputs of one size on their one image;
    so does the result, which reads no further left or right than they do. It has the fewest groups among
    them, which must divide the others'.
    """
    groups = min(kernel.groups for kernel in kernels)
    grid = [_one_grid(per_axis) for per_axis in zip(*(kernel.taps for kernel in kernels), strict=True)]
    like = kernels[0].weight
    channels, inputs = like.shape[0], kernels[0].groups * like.shape[1]
    weight = like.new_zeros(channels, inputs // groups, *(size for _, _, size in grid))
    for kernel in kernels:
        own = tuple(
            slice((taps[0] - first) // step, (taps[-1] - first) // step + 1, max(_step(taps) // step, 1))
            for taps, (first, step, _) in zip(kernel.taps, grid, strict=True)
        )
        weight[(slice(None), slice(None), *own)] += _regroup(kernel.weight, kernel.groups, groups)
    return Kernel(
        weight,
        torch.stack([kernel.bias for kernel in kernels]).sum(0),
        kernels[0].stride,
        tuple(-first for first, _, _ in grid),
        tuple(step for _, step, _ in grid),
        groups,
    )


def _one_grid(all_taps: Sequence[list[int]]) -> tuple[int, int, int]:
    """First tap, step and number of taps of the coarsest regular grid that holds all of them."""
    places = sorted({tap for taps in all_taps for tap in taps})
    step = math.gcd(*(b - a for a, b in pairwise(places))) or 1
    return places[0], step, (places[-1] - places[0]) // step + 1


def _step(taps: list[int]) -> int:
    return taps[1] - taps[0] if len(taps) > 1 else 0


def _regroup(weight: Tensor, groups: int, fewer: int) -> Tensor:
    """The same kernel with `fewer` groups, a divisor: (Cout, Cin / groups, ...) to (Cout, Cin / fewer, ...).

    Of the groups / fewer blocks of input channels that a new group sees, each old group reads its own.
    """
    if groups == fewer:
        return weight
    blocks = groups // fewer
    old = weight.reshape(fewer, blocks, -1, *weight.shape[1:])  # (g, blocks, Cout/G, Cin/G, ...)
    new = old.new_zeros(fewer, blocks, old.shape[2], blocks, *old.shape[3:])
    for block in range(blocks):
        new[:, block, :, block] = old[:, block]
    return new.reshape(weight.shape[0], -1, *weight.shape[2:])
