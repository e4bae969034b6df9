"""What stands around pieces: branches, shared layers, containers, parametrizations, calls of functions."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from campaign.layers import Shape, conv_norm_act


class Residual(nn.Module):
    def __init__(self, branch: nn.Module, scale: float) -> None:
        super().__init__()
        self.branch = branch
        self.gain = nn.Parameter(torch.tensor(scale))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.gain * self.branch(x)


class Parallel(nn.Module):
    """Branches side by side, in a ModuleDict."""

    def __init__(self, branches: dict[str, nn.Module], join: str) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(branches)
        self.join = join

    def forward(self, x: Tensor) -> Tensor:
        found = [branch(x) for branch in self.branches.values()]
        return torch.cat(found, 1) if self.join == "cat" else torch.stack(found).sum(0)


class Shared(nn.Module):
    """One layer, called several times, with other numbers in between."""

    def __init__(self, layer: nn.Module, times: int) -> None:
        super().__init__()
        self.layer, self.times = layer, times

    def forward(self, x: Tensor) -> Tensor:
        for step in range(self.times):
            x = self.layer(x) * (1.0 - 0.25 * step)
        return x


class TwoNames(nn.Module):
    """One module under two names, as tied weights are."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.first = layer
        self.second = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.tanh(self.first(x)))


class StaticChoice(nn.Module):
    """Control flow that shapes and flags decide."""

    def __init__(self, layer: nn.Module, flag: bool) -> None:
        super().__init__()
        self.layer, self.flag = layer, flag

    def forward(self, x: Tensor) -> Tensor:
        if self.flag and x.shape[-1] % 2 == 0:
            x = x * 0.5
        y = self.layer(x)
        while y.dim() > x.dim():
            y = y.squeeze(0)
        return y if y.shape[1] > 2 else torch.cat([y, y.neg()], 1)


class Functional(nn.Module):
    """Parameters and buffers of its own, used by functions, not by layers."""

    def __init__(self, width: int, rank: int) -> None:
        super().__init__()
        self.weights = nn.ParameterList([torch.randn(width, width, *[1] * (rank - 2)) / width**0.5])
        self.register_buffer("shift", torch.randn(width) / 4)
        self.register_buffer("mean", torch.randn(width) / 4)
        self.register_buffer("variance", torch.rand(width) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        call: Callable[..., Tensor] = {2: F.linear, 3: F.conv1d, 4: F.conv2d, 5: F.conv3d}[x.dim()]
        y = call(x, self.weights[0], self.shift)
        return F.batch_norm(y, self.mean, self.variance, None, None, False, 0.1, 1e-5)


class Halved(nn.Module):
    """A parametrization of the user's own: the weight is half of what is stored, and clamped."""

    def forward(self, weight: Tensor) -> Tensor:
        return (0.5 * weight).clamp(-1.0, 1.0)


class Listed(nn.Module):
    """A ModuleList, walked by number, every other one with a skip."""

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        for number in range(len(self.layers)):
            y = self.layers[number](x)
            x = y + x if number % 2 and y.shape == x.shape else y
        return x


def layer_of(width_in: int, width_out: int, rank: int) -> nn.Module:
    """The plain layer of a rank: linear, or a convolution of 1."""
    if rank == 2:
        return nn.Linear(width_in, width_out)
    return {3: nn.Conv1d, 4: nn.Conv2d, 5: nn.Conv3d}[rank](width_in, width_out, 1)


def parametrized(draw: Random, shape: Shape) -> nn.Module:
    layer = layer_of(shape[1], draw.choice((3, 4, 6)), len(shape))
    way = draw.choice(("weight", "spectral", "own", "old weight"))
    if way == "weight":
        return parametrizations.weight_norm(layer)
    if way == "spectral":
        return parametrizations.spectral_norm(layer)
    if way == "old weight":
        return torch.nn.utils.weight_norm(layer)
    parametrize.register_parametrization(layer, "weight", Halved())
    return layer


def wrapped(draw: Random, shape: Shape) -> nn.Module:
    """One of the wrappers above, around plain layers."""
    width, rank = shape[1], len(shape)

    def keeping() -> nn.Module:
        return nn.Sequential(layer_of(width, width, rank), draw.choice((nn.ReLU, nn.SiLU, nn.Tanh))())

    ways: list[Callable[[], nn.Module]] = [
        lambda: Residual(keeping(), draw.choice((1.0, 0.5, 0.1))),
        lambda: Parallel(
            {"left": keeping(), "right": layer_of(width, width, rank)}, draw.choice(("cat", "sum"))
        ),
        lambda: Shared(keeping(), draw.choice((2, 3))),
        lambda: TwoNames(layer_of(width, width, rank)),
        lambda: StaticChoice(layer_of(width, draw.choice((1, 4)), rank), draw.random() < 0.5),
        lambda: Functional(width, rank),
        lambda: Listed([keeping() for _ in range(3)]),
        lambda: parametrized(draw, shape),
    ]
    if rank > 2:
        ways.append(lambda: Parallel({"a": conv_norm_act(draw, shape), "b": nn.Identity()}, "cat"))
    return draw.choice(ways)()
