"""Small random networks of the operations that users write, each the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Step = Callable[[Tensor], Tensor]
MOST_ELEMENTS = 4096
NEVER_TAKEN = ("GREATER", "SELECT_V2", "GATHER", "RESHAPE", "TRANSPOSE")
"""By XNNPACK: a choice, turning a dimension round, and what lies between such."""
POINTWISE: tuple[Step, ...] = (
    torch.relu,
    torch.sigmoid,
    torch.tanh,
    F.silu,
    F.gelu,
    F.hardswish,
    F.hardsigmoid,
    F.elu,
    F.softplus,
    torch.abs,
    lambda x: x.clamp(-0.5, 0.7),
    lambda x: x * 0.5 + 1,
    lambda x: 1 - x,
    lambda x: x / (x.abs() + 1),
    lambda x: x * x,
    lambda x: (x * x + 1).rsqrt(),
    lambda x: x + x.mean(-1, keepdim=True),
    lambda x: x - x.amax(0, keepdim=True),
)


class RandomNetwork(nn.Module):
    """`steps` one after the other; the last value and, where it is still small, one on the way come out."""

    def __init__(self, seed: int, length: int) -> None:
        super().__init__()
        self.chance = random.Random(seed)
        torch.manual_seed(seed)
        self.example = torch.randn(self._first_shape())
        self.layers = nn.ModuleList()
        self.steps: list[Step] = []
        self.told: list[str] = []
        value = self.example
        while len(self.steps) < length:
            name, step = self._step(value.shape)
            with torch.no_grad():
                after = step(value)
            if 0 < after.numel() <= MOST_ELEMENTS and after.abs().max() < 1e3:
                self.steps.append(step)
                self.told.append(name)
                value = after
        self.kept = self.chance.randrange(length)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        values = []
        for step in self.steps:
            x = step(x)
            values.append(x)
        return x, values[self.kept] + 1

    def _first_shape(self) -> tuple[int, ...]:
        pick = self.chance.randint
        rank = self.chance.choice((2, 3, 4, 4, 4, 5))
        sizes = (4 * pick(1, 2), pick(4, 9), pick(4, 9), pick(2, 3))
        return (1, *sizes[: rank - 1])

    def _step(self, shape: torch.Size) -> tuple[str, Step]:
        kinds = [self._pointwise, self._order, self._fold, self._cut, self._reduce, self._softmax, self._join]
        kinds += [self._linear, self._layer_norm, self._product, self._pad]
        if len(shape) == 4:
            kinds += [
                self._conv,
                self._conv,
                self._pool,
                self._resize,
                self._norm,
                self._shuffle,
                self._deconv,
            ]
        kind = self.chance.choice(kinds)
        return kind.__name__, kind(shape)

    def _layer(self, layer: nn.Module) -> nn.Module:
        self.layers.append(layer.eval())
        return layer

    def _pointwise(self, shape: torch.Size) -> Step:
        if len(shape) < 5 and self.chance.random() < 0.1:  # TFLite chooses in four dimensions at most
            return lambda x: torch.where(x > 0, x, x * 0.1)
        return self.chance.choice(POINTWISE)

    def _order(self, shape: torch.Size) -> Step:
        order = self.chance.sample(range(len(shape)), len(shape))
        return lambda x: x.permute(order)

    def _fold(self, shape: torch.Size) -> Step:
        """Two neighbouring dimensions become one, or one is split."""
        place = self.chance.randrange(len(shape))
        if len(shape) > 2 and place + 1 < len(shape) and self.chance.random() < 0.5:
            return lambda x: x.flatten(place, place + 1)
        if shape[place] % 2 == 0 and len(shape) < 5:
            return lambda x: x.unflatten(place, (2, -1))
        return lambda x: x.unsqueeze(place) if x.ndim < 5 else x

    def _cut(self, shape: torch.Size) -> Step:
        dim = self.chance.randrange(len(shape))
        first = self.chance.randrange(shape[dim])
        size = shape[dim]
        cuts: list[Step] = [
            lambda x: x.narrow(dim, first, size - first),
            lambda x: x.flip(dim),
            lambda x: x.roll(first, dim),
            lambda x: torch.cat(x.chunk(2, dim)[::-1], dim),
        ]
        if len(shape) > 2:
            cuts.append(lambda x: x.select(dim, first))
        return self.chance.choice(cuts)

    def _reduce(self, shape: torch.Size) -> Step:
        dim, keep = self.chance.randrange(len(shape)), len(shape) < 3 or self.chance.random() < 0.5
        kinds: tuple[Any, ...] = (Tensor.mean, Tensor.sum, Tensor.amax, Tensor.amin)
        kind = self.chance.choice(kinds)
        return lambda x: kind(x, dim, keepdim=keep)

    def _softmax(self, shape: torch.Size) -> Step:
        dim = self.chance.randrange(len(shape))
        return lambda x: x.softmax(dim)

    def _join(self, shape: torch.Size) -> Step:
        dim = self.chance.randrange(len(shape))
        joins: list[Step] = [
            lambda x: torch.cat([x, x * 2], dim),
            lambda x: x + x.mean(dim, keepdim=True),
            lambda x: x * x.sigmoid(),
        ]
        if len(shape) < 5:
            joins.append(lambda x: torch.stack([x, 1 - x], dim))
        return self.chance.choice(joins)

    def _linear(self, shape: torch.Size) -> Step:
        return self._layer(nn.Linear(shape[-1], self.chance.randint(2, 9), bias=self.chance.random() < 0.7))

    def _layer_norm(self, shape: torch.Size) -> Step:
        return self._layer(nn.LayerNorm(shape[-1])) if shape[-1] > 2 else torch.tanh

    def _product(self, shape: torch.Size) -> Step:
        if len(shape) == 4 and self.chance.random() < 0.5:
            return lambda x: torch.einsum("bchw,bdhw->bcd", x, x.tanh())
        if len(shape) >= 3 and self.chance.random() < 0.5:
            return lambda x: F.scaled_dot_product_attention(x, x.tanh(), x.sigmoid())
        return lambda x: x @ x.transpose(-1, -2).tanh()

    def _pad(self, shape: torch.Size) -> Step:
        sides = [self.chance.randint(0, 2) for _ in range(4)] if len(shape) > 2 else [1, 2]
        return lambda x: F.pad(x, sides, value=0.25)

    def _conv(self, shape: torch.Size) -> Step:
        pick, channels = self.chance.choice, shape[1]
        groups = pick([g for g in (1, 2, channels) if channels % g == 0])
        kernel, dilation = pick((1, 2, 3, (1, 3), 5)), pick((1, 1, 2))
        widest = max(kernel) if isinstance(kernel, tuple) else kernel
        if (widest - 1) * dilation >= min(shape[2:]):
            kernel = 1
        layer = nn.Conv2d(
            channels,
            groups * pick((1, 2, 3)) * (1 if groups == channels else 2),
            kernel,
            stride=pick((1, 1, 2, (2, 1))),
            padding=pick((0, 1, (0, 2))),
            dilation=dilation,
            groups=groups,
            bias=pick((True, False)),
        )
        return self._layer(layer)

    def _deconv(self, shape: torch.Size) -> Step:
        pick = self.chance.choice
        return self._layer(
            nn.ConvTranspose2d(shape[1], pick((2, 4)), pick((2, 3, 4)), pick((1, 2)), pick((0, 1)))
            if min(shape[2:]) > 2
            else nn.ConvTranspose2d(shape[1], 2, 2, 2)
        )

    def _pool(self, shape: torch.Size) -> Step:
        pick = self.chance.choice
        if min(shape[2:]) < 3:
            return lambda x: F.adaptive_avg_pool2d(x, 1)
        ceil, pad, size = pick((True, False)), pick((0, 1)), pick(((1, 1), (2, 3), (3, 3)))
        pools: tuple[Step, ...] = (
            lambda x: F.max_pool2d(x, 3, 2, pad, ceil_mode=ceil),
            lambda x: F.avg_pool2d(x, 3, 2, pad, ceil_mode=ceil, count_include_pad=pad == 0),
            lambda x: F.avg_pool2d(x, 2),
            lambda x: F.adaptive_avg_pool2d(x, size),
            lambda x: F.adaptive_max_pool2d(x, 1),
        )
        return pick(pools)

    def _resize(self, _shape: torch.Size) -> Step:
        corners = self.chance.choice((True, False))
        ways: tuple[Step, ...] = (
            lambda x: F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=corners),
            lambda x: F.interpolate(x, scale_factor=2.0, mode="nearest"),
            lambda x: F.interpolate(x, size=(5, 7), mode="bilinear", align_corners=corners),
        )
        return self.chance.choice(ways)

    def _norm(self, shape: torch.Size) -> Step:
        channels = shape[1]
        norms: list[nn.Module] = [nn.BatchNorm2d(channels)]
        if shape[2] * shape[3] > 4:
            norms += [nn.InstanceNorm2d(channels, affine=True), nn.GroupNorm(1, channels)]
        return self._layer(self.chance.choice(norms))

    def _shuffle(self, shape: torch.Size) -> Step:
        if shape[1] % 4 == 0:
            return lambda x: F.pixel_shuffle(x, 2)
        if shape[2] % 2 == shape[3] % 2 == 0:
            return lambda x: F.pixel_unshuffle(x, 2)
        return torch.relu
