"""The algebra of parallel convolutions of one input, and their sum as one kernel.

Along one axis, output o of a convolution reads the input at stride * o + t for its taps

    t = -padding + dilation * j        j = 0 .. kernel - 1

and zeros outside the image. Two convolutions of one input with the same stride add tap by tap, so kernel
sizes, paddings and dilations may differ if one regular grid holds all taps: a 1x1 kernel is the centre of a
padded 3x3 kernel, and a dilated 3x3 kernel is every other tap of a 5x5 kernel. A per-channel map (identity,
BatchNorm) is a 1x1 depthwise convolution. The same holds for channels: a kernel with G groups is a kernel
with g groups, where g divides G, that is zero outside its diagonal blocks.

Everything is computed in float64. The caller rounds once, to the dtype that it stores.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

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
        """For each spatial axis, the places that the kernel reads, relative to stride * output position."""
        return tuple(
            [dilation * j - padding for j in range(size)]
            for size, padding, dilation in zip(
                self.weight.shape[2:], self.padding, self.dilation, strict=True
            )
        )


def of_channels(affine: Affine, axes: int) -> Kernel:
    """A per-channel map, whose tensors are (C,), as a depthwise 1x1 convolution of `axes` spatial axes."""
    channels, ones = len(affine.scale), (1,) * axes
    return Kernel(affine.scale.reshape(-1, 1, *ones), affine.shift, ones, (0,) * axes, ones, channels)


def add_kernels(kernels: Sequence[Kernel]) -> Kernel:
    """The convolution that computes the sum of `kernels`, on the coarsest grid that holds all their taps.

    All have the same stride, the same channels in and out, and the same output size, and so has the result.
    It reads no farther left or right than they do. Its number of groups is the smallest of theirs, which must
    divide the others.
    """
    groups = min(kernel.groups for kernel in kernels)
    grid = [_one_grid(per_axis) for per_axis in zip(*(kernel.taps for kernel in kernels), strict=True)]
    like = kernels[0].weight
    channels, inputs = like.shape[0], kernels[0].groups * like.shape[1]
    weight = like.new_zeros(channels, inputs // groups, *(axis.length for axis in grid))
    for kernel in kernels:
        own = tuple(
            slice(
                (taps[0] - axis.first) // axis.step,
                (taps[-1] - axis.first) // axis.step + 1,
                max(_step(taps) // axis.step, 1),
            )
            for taps, axis in zip(kernel.taps, grid, strict=True)
        )
        weight[(slice(None), slice(None), *own)] += _regroup(kernel.weight, kernel.groups, groups)
    return Kernel(
        weight,
        torch.stack([kernel.bias for kernel in kernels]).sum(0),
        kernels[0].stride,
        tuple(-axis.first for axis in grid),
        tuple(axis.step for axis in grid),
        groups,
    )


class _Grid(NamedTuple):
    """A regular grid of taps along one axis."""

    first: int
    step: int
    length: int


def _one_grid(all_taps: Sequence[list[int]]) -> _Grid:
    """The coarsest regular grid that holds all taps."""
    places = sorted({tap for taps in all_taps for tap in taps})
    step = math.gcd(*(b - a for a, b in pairwise(places))) or 1
    return _Grid(places[0], step, (places[-1] - places[0]) // step + 1)


def _step(taps: list[int]) -> int:
    return taps[1] - taps[0] if len(taps) > 1 else 0


def _regroup(weight: Tensor, groups: int, fewer: int) -> Tensor:
    """The same kernel with `fewer` groups, a divisor: (Cout, Cin / groups, ...) to (Cout, Cin / fewer, ...).

    A new group sees groups / fewer blocks of input channels; each old group in it reads its own block.
    """
    if groups == fewer:
        return weight
    blocks = groups // fewer
    old = weight.reshape(fewer, blocks, -1, *weight.shape[1:])  # (g, blocks, Cout/G, Cin/G, ...)
    new = old.new_zeros(fewer, blocks, old.shape[2], blocks, *old.shape[3:])
    for block in range(blocks):
        new[:, block, :, block] = old[:, block]
    return new.reshape(weight.shape[0], -1, *weight.shape[2:])
