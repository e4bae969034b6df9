"""The algebra of a per-channel affine map y = scale * x + shift, and of a layer that absorbs one.

Everything is computed in float64 and rounded once, to the dtype of the layer's weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


@dataclass(frozen=True)
class Affine:
    """y[:, c] = scale[c] * x[:, c] + shift[c]; both (C,), float64."""

    scale: Tensor
    shift: Tensor

    def split(self, sizes: list[int]) -> list[Affine]:
        """The maps of consecutive channel ranges with these `sizes`."""
        return [
            Affine(scale, shift)
            for scale, shift in zip(
                torch.split(self.scale, sizes), torch.split(self.shift, sizes), strict=True
            )
        ]

    def after(self, first: Affine) -> Affine:
        """The map that applies `first`, then this one."""
        return Affine(self.scale * first.scale, self.scale * first.shift + self.shift)

    @property
    def finite(self) -> bool:
        """Whether scale and shift hold no infinity and no NaN."""
        return bool(self.scale.isfinite().all() and self.shift.isfinite().all())

    def border_for(self, value: float) -> float | None:
        """The number x for which scale * x + shift = value in every channel; None if there is none.

        Padding with x before the map equals padding with `value` after it.
        """
        if bool((self.scale == 0).any()):
            return None
        borders = (value - self.shift) / self.scale
        first = float(borders[0])
        return first if bool((borders == first).all()) else None


class Parameters(NamedTuple):
    """Weight and bias of a layer."""

    weight: Tensor
    bias: Tensor


def of_batchnorm(
    mean: Tensor, variance: Tensor, gamma: Tensor | None, beta: Tensor | None, epsilon: float
) -> Affine:
    """The map of a BatchNorm with fixed statistics (arXiv:1502.03167, algorithm 2); all tensors are (C,)."""
    scale = 1 / torch.sqrt(variance.double() + epsilon)
    if gamma is not None:
        scale = scale * gamma.double()
    shift = -mean.double() * scale
    if beta is not None:
        shift = shift + beta.double()
    return Affine(scale, shift)


def after_layer(
    weight: Tensor, bias: Tensor | None, affine: Affine, transposed_groups: int | None = None
) -> Parameters:
    """The parameters of a layer that computes `affine` of this layer's output.

    Shapes: weight (Cout, ...) for convolutions and linear layers; (Cin, Cout / groups, ...) for transposed
    convolutions, for which `transposed_groups` is the number of groups; bias (Cout,) or None. The result has
    the same shapes.
    """
    if transposed_groups is None:
        spread = affine.scale.reshape(-1, *[1] * (weight.dim() - 1))
        scaled = weight.double() * spread
    else:
        grouped = weight.double().reshape(transposed_groups, -1, *weight.shape[1:])  # (g, Cin/g, Cout/g, ...)
        spread = affine.scale.reshape(transposed_groups, 1, -1, *[1] * (weight.dim() - 2))
        scaled = (grouped * spread).flatten(0, 1)
    shift = affine.shift if bias is None else bias.double() * affine.scale + affine.shift
    return Parameters(scaled.to(weight.dtype), shift.to(weight.dtype))


def before_layer(weight: Tensor, bias: Tensor | None, affine: Affine, groups: int = 1) -> Parameters:
    """The parameters of a layer that computes this layer of `affine` of its input; neither pads.

    Shapes: weight (Cout, Cin / groups, ...), bias (Cout,) or None, the map's tensors (Cin,). The result has
    the same shapes.
    """
    per_group = (groups, 1, -1, *[1] * (weight.dim() - 2))
    grouped = weight.double().reshape(groups, -1, *weight.shape[1:])  # (g, Cout/g, Cin/g, ...)
    scaled = grouped * affine.scale.reshape(per_group)
    pushed = (grouped * affine.shift.reshape(per_group)).flatten(0, 1).flatten(1).sum(1)  # (Cout,)
    shift = pushed if bias is None else bias.double() + pushed
    return Parameters(scaled.flatten(0, 1).to(weight.dtype), shift.to(weight.dtype))
