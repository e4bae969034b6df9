"""Layers with weights of their own, poolings and resizes, each drawn for the shape that it will meet."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Shape = tuple[int, ...]
Build = Callable[[Random, Shape], nn.Module]

CONV = {3: nn.Conv1d, 4: nn.Conv2d, 5: nn.Conv3d}
TRANSPOSED = {3: nn.ConvTranspose1d, 4: nn.ConvTranspose2d, 5: nn.ConvTranspose3d}
BATCH_NORM = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
INSTANCE_NORM = {3: nn.InstanceNorm1d, 4: nn.InstanceNorm2d, 5: nn.InstanceNorm3d}
MAX_POOL = {3: nn.MaxPool1d, 4: nn.MaxPool2d, 5: nn.MaxPool3d}
AVG_POOL = {3: nn.AvgPool1d, 4: nn.AvgPool2d, 5: nn.AvgPool3d}
ADAPTIVE = {3: nn.AdaptiveAvgPool1d, 4: nn.AdaptiveAvgPool2d, 5: nn.AdaptiveAvgPool3d}
ADAPTIVE_MAX = {3: nn.AdaptiveMaxPool1d, 4: nn.AdaptiveMaxPool2d}
RESIZE = {
    3: ("linear", "nearest"),
    4: ("bilinear", "bicubic", "nearest", "area"),
    5: ("trilinear", "nearest"),
}
ACTIVATIONS: tuple[Callable[[], nn.Module], ...] = (
    nn.ReLU,
    nn.ReLU6,
    nn.SiLU,
    nn.GELU,
    lambda: nn.GELU("tanh"),
    nn.Hardswish,
    nn.Hardsigmoid,
    nn.Mish,
    nn.ELU,
    nn.SELU,
    nn.CELU,
    nn.Sigmoid,
    nn.Tanh,
    nn.Softplus,
    nn.Softsign,
    nn.LeakyReLU,
    nn.PReLU,
    nn.LogSigmoid,
    nn.Hardtanh,
    nn.Tanhshrink,
    nn.Softshrink,
    lambda: nn.ReLU(inplace=True),
    lambda: nn.SiLU(inplace=True),
)


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def _width(draw: Random) -> int:
    return draw.choice((3, 4, 5, 6, 8, 12, 16))


def _groups(draw: Random, *widths: int) -> int:
    most = math.gcd(*widths)
    return draw.choice([n for n in range(1, most + 1) if most % n == 0])


def conv(draw: Random, shape: Shape) -> nn.Module:
    width, kernel = _width(draw), draw.choice((1, 1, 2, 3, 3, 5))
    return CONV[len(shape)](
        shape[1],
        width,
        kernel,
        stride=draw.choice((1, 1, 2)),
        padding=draw.choice((0, kernel // 2)),
        dilation=draw.choice((1, 1, 1, 2)),
        groups=_groups(draw, shape[1], width),
        bias=draw.random() < 0.7,
        padding_mode=draw.choice(("zeros", "zeros", "zeros", "reflect", "replicate", "circular")),
    )


def uneven_conv(draw: Random, shape: Shape) -> nn.Module:
    kernel = draw.choice(((1, 3), (3, 1), (2, 5)))
    return nn.Conv2d(shape[1], _width(draw), kernel, stride=draw.choice(((1, 2), (2, 1))), padding=(0, 1))


def same_conv(draw: Random, shape: Shape) -> nn.Module:
    return CONV[len(shape)](shape[1], _width(draw), draw.choice((2, 3, 4)), padding="same")


def depthwise(draw: Random, shape: Shape) -> nn.Module:
    times, kernel = draw.choice((1, 1, 2)), draw.choice((3, 5, 7))
    return CONV[len(shape)](
        shape[1],
        times * shape[1],
        kernel,
        padding=kernel // 2,
        stride=draw.choice((1, 2)),
        groups=shape[1],
        bias=draw.random() < 0.5,
    )


def transposed_conv(draw: Random, shape: Shape) -> nn.Module:
    width, stride = _width(draw), draw.choice((1, 2, 2, 3))
    return TRANSPOSED[len(shape)](
        shape[1],
        width,
        draw.choice((2, 3, 4)),
        stride=stride,
        padding=draw.choice((0, 1)),
        output_padding=draw.randrange(stride),
        groups=_groups(draw, shape[1], width),
        bias=draw.random() < 0.7,
    )


def conv_norm_act(draw: Random, shape: Shape) -> nn.Module:
    layer = conv(draw, shape)
    norm = BATCH_NORM[len(shape)](layer.out_channels, eps=draw.choice((1e-5, 1e-3)))
    return nn.Sequential(layer, norm, draw.choice(ACTIVATIONS)())


def batch_norm(draw: Random, shape: Shape) -> nn.Module:
    return BATCH_NORM[len(shape)](shape[1], affine=draw.random() < 0.8)


def group_norm(draw: Random, shape: Shape) -> nn.Module:
    return nn.GroupNorm(_groups(draw, shape[1]), shape[1])


def instance_norm(draw: Random, shape: Shape) -> nn.Module:
    return INSTANCE_NORM[len(shape)](shape[1], affine=draw.random() < 0.5)


def layer_norm(draw: Random, shape: Shape) -> nn.Module:
    axes = draw.randrange(1, len(shape))
    return nn.LayerNorm(shape[-axes:], elementwise_affine=draw.random() < 0.8)


class ChannelNorm(nn.Module):
    """LayerNorm over channels of an image, as ConvNeXt has it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.movedim(1, -1)).movedim(-1, 1)


class RootMeanSquare(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(width) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.scale


def activation(draw: Random, shape: Shape) -> nn.Module:
    made = draw.choice(ACTIVATIONS)()
    return nn.PReLU(shape[1]) if isinstance(made, nn.PReLU) and draw.random() < 0.5 else made


def max_pool(draw: Random, shape: Shape) -> nn.Module:
    kernel = draw.choice((2, 3))
    return MAX_POOL[len(shape)](
        kernel, stride=draw.choice((1, 2)), padding=draw.choice((0, 1)), ceil_mode=draw.random() < 0.3
    )


def avg_pool(draw: Random, shape: Shape) -> nn.Module:
    kernel = draw.choice((2, 3))
    return AVG_POOL[len(shape)](
        kernel,
        stride=draw.choice((1, 2)),
        padding=draw.choice((0, 1)),
        ceil_mode=draw.random() < 0.3,
        count_include_pad=draw.random() < 0.5,
    )


def adaptive_pool(draw: Random, shape: Shape) -> nn.Module:
    kinds = [table[len(shape)] for table in (ADAPTIVE, ADAPTIVE_MAX) if len(shape) in table]
    sizes = [size for size in (1, 2, 3, 4) if size <= min(shape[2:])]
    return draw.choice(kinds)(draw.choice(sizes))


def resize(draw: Random, shape: Shape) -> nn.Module:
    mode, factor = draw.choice(RESIZE[len(shape)]), draw.choice((0.5, 1.5, 2.0, 2.0))
    size = tuple(max(1, int(one * factor)) for one in shape[2:])
    corners = draw.choice((True, False)) if mode.endswith(("linear", "cubic")) else None
    if draw.random() < 0.4 and factor != 0.5:
        return Call(lambda x: F.interpolate(x, scale_factor=factor, mode=mode, align_corners=corners))
    return Call(lambda x: F.interpolate(x, size, mode=mode, align_corners=corners))


def pixel_shuffle(draw: Random, shape: Shape) -> nn.Module:
    return nn.PixelShuffle(2) if shape[1] % 4 == 0 and draw.random() < 0.6 else nn.PixelUnshuffle(2)


def pad(draw: Random, shape: Shape) -> nn.Module:
    amounts = [draw.randrange(3) for _ in range(2 * (len(shape) - 2))]
    mode = draw.choice(("constant", "reflect", "replicate", "circular"))
    value = draw.choice((0.0, -1.5)) if mode == "constant" else None
    return Call(lambda x: F.pad(x, amounts, mode, value))


def linear(draw: Random, shape: Shape) -> nn.Module:
    return nn.Linear(shape[-1], _width(draw), bias=draw.random() < 0.8)


class SqueezeExcite(nn.Module):
    def __init__(self, width: int, gate: nn.Module) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(width, max(1, width // 2), 1)
        self.expand = nn.Conv2d(max(1, width // 2), width, 1)
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean((2, 3), keepdim=True)
        return x * self.gate(self.expand(F.relu(self.reduce(means))))


def squeeze_excite(draw: Random, shape: Shape) -> nn.Module:
    return SqueezeExcite(shape[1], draw.choice((nn.Sigmoid, nn.Hardsigmoid, nn.Tanh))())


class Attention(nn.Module):
    """Of tokens (B, N, C), written in one of three ways."""

    def __init__(self, width: int, heads: int, way: str, causal: bool) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.heads, self.way, self.causal = heads, way, causal

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        if self.way == "fused":
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        elif self.way == "einsum":
            scores = torch.einsum("bhnd,bhmd->bhnm", q, k) / math.sqrt(c // self.heads)
            mixed = torch.einsum("bhnm,bhmd->bhnd", scores.softmax(-1), v)
        else:
            scores = q @ k.transpose(-2, -1) * (c // self.heads) ** -0.5
            if self.causal:
                mask = torch.ones(n, n, dtype=torch.bool).tril()
                scores = scores.masked_fill(~mask, float("-inf"))
            mixed = scores.softmax(-1) @ v
        return self.out(mixed.transpose(1, 2).reshape(b, n, c))


def attention(draw: Random, shape: Shape) -> nn.Module:
    way = draw.choice(("fused", "einsum", "plain"))
    return Attention(shape[-1], _groups(draw, shape[-1]), way, way != "einsum" and draw.random() < 0.3)


class TorchAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.attention(x, x, x, need_weights=False)[0]


def torch_attention(draw: Random, shape: Shape) -> nn.Module:
    return TorchAttention(shape[-1], _groups(draw, shape[-1]))


class Positions(nn.Module):
    """A table of embeddings added to tokens, by the row's number."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(tokens + 2, width)
        self.register_buffer("order", torch.arange(tokens))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.table(self.order)


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase], width: int, hidden: int) -> None:
        super().__init__()
        self.cell = kind(width, hidden, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.cell(x)[0]


def recurrent(draw: Random, shape: Shape) -> nn.Module:
    return Recurrent(draw.choice((nn.GRU, nn.LSTM)), shape[-1], _width(draw))


class Mix(nn.Module):
    """A learned matrix along one axis, by einsum."""

    def __init__(self, size: int, out: int, equation: str) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(out, size) / math.sqrt(size))
        self.equation = equation

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum(self.equation, x, self.matrix)


EQUATIONS = {
    2: (("bc,dc->bd", 1),),
    3: (("bnc,dc->bnd", 2), ("bnc,mn->bmc", 1)),
    4: (("bchw,dc->bdhw", 1), ("bchw,vw->bchv", 3), ("bchw,gh->bcgw", 2)),
    5: (("bcdhw,oc->bodhw", 1),),
}


def mix(draw: Random, shape: Shape) -> nn.Module:
    equation, axis = draw.choice(EQUATIONS[len(shape)])
    return Mix(shape[axis], draw.choice((3, 4, 6)), equation)


class Masked(nn.Module):
    def __init__(self, shape: Shape, keep: float, fill: float) -> None:
        super().__init__()
        self.register_buffer("mask", torch.rand(shape[1:]) < keep)
        self.fill = fill

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(self.mask, x, torch.full_like(x, self.fill))


def masked(draw: Random, shape: Shape) -> nn.Module:
    return Masked(shape, draw.choice((0.5, 0.8)), draw.choice((0.0, 0.25)))


class Scaled(nn.Module):
    """A learned scale and shift for each channel, as layer scale has it."""

    def __init__(self, shape: Shape, scale: float) -> None:
        super().__init__()
        ones = (1, shape[1], *[1] * (len(shape) - 2))
        self.gamma = nn.Parameter(scale * (torch.rand(ones) + 0.5))
        self.beta = nn.Parameter(torch.randn(ones) / 4)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma + self.beta


def scaled(draw: Random, shape: Shape) -> nn.Module:
    return Scaled(shape, draw.choice((1.0, 1.0, 0.1)))
