"""Functions of tensors without weights: indexing, elementwise, along an axis, and into another rank."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from campaign.layers import ADAPTIVE, Call, Shape


def _cut(shape: Shape, draw: Random) -> tuple[slice, ...]:
    """A slice that leaves something of every axis but the batch."""
    cuts = [slice(None)]
    for size in shape[1:]:
        step = draw.choice((1, 1, 2)) if size > 3 else 1
        start = draw.randrange(2) if size > 2 else 0
        cuts.append(slice(start, draw.choice((None, -1)) if size > 4 else None, step))
    return tuple(cuts)


def sliced(draw: Random, shape: Shape) -> nn.Module:
    cut = _cut(shape, draw)
    return Call(lambda x: x[cut])


def selected(draw: Random, shape: Shape) -> nn.Module:
    axis = draw.randrange(1, len(shape))
    order = [draw.randrange(shape[axis]) for _ in range(max(1, shape[axis] - 1))]
    if draw.random() < 0.5:
        return Call(lambda x: x.index_select(axis, torch.tensor(order)))
    return Call(lambda x: x[(slice(None),) * axis + (order,)])


def rearranged(draw: Random, shape: Shape) -> nn.Module:
    axis, rank = draw.randrange(1, len(shape)), len(shape)
    half, steps = shape[1] // 2, draw.randrange(1, 3)
    order = [0, *draw.sample(range(1, rank), rank - 1)]
    ways: list[Callable[[Tensor], Tensor]] = [
        lambda x: x.flip(axis),
        lambda x: x.roll(steps, axis),
        lambda x: x.permute(order).contiguous(),
        lambda x: x.transpose(1, axis),
        lambda x: torch.cat([x, x.flip(axis)], axis),
        lambda x: torch.stack([x, -x], axis + 1).flatten(axis, axis + 1),
        lambda x: x.repeat_interleave(2, axis),
        lambda x: x.unfold(1, min(2, x.shape[1]), 1).mean(-1),
        lambda x: torch.cat(x.chunk(2, 1)[::-1], 1),
    ]
    if half and shape[1] % 2 == 0:
        ways += [
            lambda x: x[:, :half] * torch.sigmoid(x[:, half:]),
            lambda x: F.glu(x, 1),
            lambda x: x.reshape(x.shape[0], 2, half, *x.shape[2:]).transpose(1, 2).reshape(x.shape),
            lambda x: torch.cat([one.mul(i + 1) for i, one in enumerate(x.split([half, half], 1))], 1),
        ]
    return Call(draw.choice(ways))


def elementwise(draw: Random, shape: Shape) -> nn.Module:
    number = draw.choice((0.5, 1.5, 2.0))
    ways: tuple[Callable[[Tensor], Tensor], ...] = (
        lambda x: x.clamp(-1.5, number),
        lambda x: torch.sqrt(x.abs() + 0.1),
        lambda x: torch.log1p(x.abs()),
        lambda x: torch.exp(-x.abs()),
        lambda x: torch.sin(x) + torch.cos(number * x),
        lambda x: x / (1 + x.abs()),
        lambda x: torch.rsqrt(x * x + number),
        lambda x: x.abs().pow(1.0 + number),
        torch.erf,
        torch.atan,
        lambda x: torch.maximum(x, -number * x),
        lambda x: torch.minimum(x, x.flip(1)),
        lambda x: torch.where(x > 0, x, number * 0.1 * x),
        lambda x: x.masked_fill(x < -number, -number),
        lambda x: torch.addcmul(x, x, torch.sigmoid(x), value=number),
        lambda x: torch.addcdiv(x, x, x.abs() + 1.0),
        lambda x: torch.lerp(x, x.tanh(), 0.3),
        lambda x: x.square().neg().exp(),
        lambda x: x.sign() * x.abs().log1p(),
        lambda x: torch.hypot(x, torch.full_like(x, number)),
        lambda x: x.remainder(7.0) * 0.0 + x,
        lambda x: (x > 0).to(x.dtype) * x + number,
        lambda x: torch.logaddexp(x, -x),
        lambda x: x.double().mul(number).float(),
    )
    return Call(draw.choice(ways))


def across(draw: Random, shape: Shape) -> nn.Module:
    axis = draw.randrange(1, len(shape))
    ways: tuple[Callable[[Tensor], Tensor], ...] = (
        lambda x: x.softmax(axis) * x.shape[axis],
        lambda x: x.log_softmax(axis),
        lambda x: F.normalize(x, dim=axis),
        lambda x: x - x.mean(axis, keepdim=True),
        lambda x: x / (x.std(axis, keepdim=True, unbiased=False) + 0.1),
        lambda x: x * x.var(axis, keepdim=True, unbiased=False),
        lambda x: x - x.amax(axis, keepdim=True),
        lambda x: x + x.amin(axis, keepdim=True).tanh(),
        lambda x: x.cumsum(axis) / x.shape[axis],
        lambda x: x / (x.norm(dim=axis, keepdim=True) + 0.1),
        lambda x: x + x.logsumexp(axis, keepdim=True),
        lambda x: x.sort(axis)[0],
        lambda x: x.topk(max(1, x.shape[axis] // 2), axis)[0],
        lambda x: x * x.prod(axis, keepdim=True).tanh(),
    )
    return Call(draw.choice(ways))


class WrittenInto(nn.Module):
    """Assigns into a clone, and adds in place."""

    def forward(self, x: Tensor) -> Tensor:
        y = x.clone()
        y[:, 0] = y[:, -1] * 0.5
        y += x
        return y.mul_(0.75)


def reduced(draw: Random, shape: Shape) -> nn.Module:
    """One axis less."""
    axis = draw.randrange(1, len(shape))
    ways: tuple[Callable[[Tensor], Tensor], ...] = (
        lambda x: x.mean(axis),
        lambda x: x.amax(axis),
        lambda x: x.sum(axis) / math.sqrt(x.shape[axis]),
        lambda x: x.select(axis, 0),
        lambda x: x.max(axis)[0],
        lambda x: x.norm(dim=axis),
    )
    return Call(draw.choice(ways))


def pooled(draw: Random, shape: Shape) -> nn.Module:
    """Down to (B, C)."""
    axes = tuple(range(2, len(shape)))
    ways: tuple[Callable[[Tensor], Tensor], ...] = (
        lambda x: x.mean(axes),
        lambda x: x.amax(axes),
        lambda x: ADAPTIVE[len(shape)](1)(x).flatten(1),
        lambda x: x.flatten(2).mean(-1),
    )
    return Call(draw.choice(ways))


def tokens(draw: Random, shape: Shape) -> nn.Module:
    """An image or a volume as (B, N, C)."""
    return Call(
        draw.choice((lambda x: x.flatten(2).transpose(1, 2), lambda x: x.movedim(1, -1).flatten(1, -2)))
    )


def image_again(draw: Random, shape: Shape) -> nn.Module:
    """Tokens (B, N, C) as an image (B, C, h, w)."""
    n = shape[1]
    height = max(one for one in range(1, int(math.sqrt(n)) + 1) if n % one == 0)
    return Call(lambda x: x.transpose(1, 2).reshape(x.shape[0], x.shape[2], height, n // height))


def volume(draw: Random, shape: Shape) -> nn.Module:
    """(B, C, H, W) as (B, C / 2, 2, H, W), and back."""
    if len(shape) == 5:
        return Call(lambda x: x.flatten(1, 2))
    depth = 2 if shape[1] % 2 == 0 else 1
    return Call(lambda x: x.unflatten(1, (x.shape[1] // depth, depth)))


def more_axes(draw: Random, shape: Shape) -> nn.Module:
    axis = draw.randrange(1, len(shape) + 1)
    return Call(lambda x: torch.cat([x.unsqueeze(axis), x.unsqueeze(axis).tanh()], axis))
