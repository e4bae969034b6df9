"""MoCoViT, Mobile Convolutional Vision Transformer (arXiv:2205.12635, ByteDance, 2022).

A GhostNet whose last four bottlenecks are Mobile Transformer Blocks:

    image - stem - 12 Ghost bottlenecks - 4 x (x + MoSA(x), then + MoFFN) - conv 960 - pool - 1280 - classes

    MoSA(X)  = Ghost( softmax(V V^T / sqrt(d)) V + Refiner(V) )       V = Ghost(X); queries and keys are V too
    MoFFN(X) = Ghost( SE( Ghost(X) ) )

No code or weights were published. This reading of the paper has the published totals of MoCoViT-1.0, 5.3 M
parameters and 147 M multiply-accumulates (MACs); no other reading that was tried has them. What the paper
leaves open is in `MoCoViTConfig`. Widths other than 1.0 are extrapolated by GhostNet's rule
(arXiv:1911.11907, section 4.1), and no numbers are published for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import mul

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mocovit_deploy.errors import UsageError

# kind       kernel  expanded  out  SE     stride
BLOCKS = (
    ("ghost", 3, 16, 16, False, 1),  # 112 x 112
    ("ghost", 3, 48, 24, False, 2),  # 56 x 56
    ("ghost", 3, 72, 24, False, 1),
    ("ghost", 5, 72, 40, True, 2),  # 28 x 28
    ("ghost", 5, 120, 40, True, 1),
    ("ghost", 3, 240, 80, False, 2),  # 14 x 14
    ("ghost", 3, 200, 80, False, 1),
    ("ghost", 3, 184, 80, False, 1),
    ("ghost", 3, 184, 80, False, 1),
    ("ghost", 3, 480, 112, True, 1),
    ("ghost", 3, 672, 112, True, 1),
    ("ghost", 5, 672, 160, True, 2),  # 7 x 7
    ("transformer", 3, 960, 160, False, 1),
    ("transformer", 3, 960, 160, True, 1),
    ("transformer", 3, 960, 160, False, 1),
    ("transformer", 3, 960, 160, True, 1),
)
STEM_CHANNELS = 16
TAIL_CHANNELS = 960
FEATURES = 1280
SE_RATIO = 0.25


@dataclass(frozen=True)
class MoCoViTConfig:
    """The choices that the paper leaves open, each with its default and the reason."""

    width: float = 1.0
    num_classes: int = 1000
    num_heads: int = 4
    """Not stated. It changes no total, and 4 divides the channels at every width."""
    transformer_se: tuple[bool, bool, bool, bool] = (False, True, False, True)
    """GhostNet's pattern. With ratio 1/4 it has the published parameters; SE in every block has not."""
    transformer_se_ratio: float = 0.25
    refiner_kernel: int = 3
    """The Ghost module's own kernel. 5 fits the published totals as well."""
    refiner_batchnorm: bool = True
    value_relu: bool = False
    """ReLU in V's Ghost module, "optional" in the figure. Without it attention can subtract."""
    attention_relu: bool = False
    """ReLU in the attention's output Ghost module."""
    ffn_relu: bool = True
    """ReLU after the FFN's up-projection, as in GhostNet; there is none after the down-projection."""
    dropout: float = 0.2
    """GhostNet's value; it acts only in training."""


def make_divisible(channels: float, divisor: int = 4) -> int:
    """The nearest multiple of `divisor`, never more than 10 % below `channels` (GhostNet's rule)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def conv_bn(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, relu: bool = False
) -> nn.Sequential:
    """Convolution without bias, BatchNorm, and ReLU if asked for; the padding keeps the size at stride 1."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, nn.ReLU()) if relu else nn.Sequential(*layers)


class Ghost(nn.Module):
    """Half of the outputs by a 1x1 convolution, the rest cheaply from those (arXiv:1911.11907, 3.1).

    a = act(BN(Conv1x1(x)))      b = act(BN(DWConv3x3(a)))      y = concat(a, b)

    Shapes: (B, inputs, H, W) -> (B, outputs, H, W); `outputs` is even.
    """

    def __init__(self, inputs: int, outputs: int, relu: bool) -> None:
        super().__init__()
        half = outputs // 2
        self.primary = conv_bn(inputs, half, 1, relu=relu)
        self.cheap = conv_bn(half, half, 3, groups=half, relu=relu)

    def forward(self, x: Tensor) -> Tensor:
        a = self.primary(x)
        return torch.cat((a, self.cheap(a)), dim=1)


class SqueezeExcite(nn.Module):
    """Scale each channel by a hard-sigmoid gate of all channels' means (arXiv:1709.01507).

    (B, C, H, W) -> (B, C, H, W).
    """

    def __init__(self, channels: int, ratio: float) -> None:
        super().__init__()
        reduced = make_divisible(channels * ratio)
        self.reduce = nn.Conv2d(channels, reduced, 1)
        self.expand = nn.Conv2d(reduced, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        means = F.adaptive_avg_pool2d(x, 1)  # (B, C, 1, 1)
        return x * F.hardsigmoid(self.expand(F.relu(self.reduce(means))))


class GhostBottleneck(nn.Module):
    """Ghost up, depthwise convolution if strided, SE if flagged, Ghost down, plus the shortcut.

    (B, inputs, H, W) -> (B, outputs, H / stride, W / stride). Source: arXiv:1911.11907, section 3.2.
    """

    def __init__(self, inputs: int, kernel: int, expanded: int, outputs: int, se: bool, stride: int) -> None:
        super().__init__()
        self.up = Ghost(inputs, expanded, relu=True)
        self.depthwise = (
            conv_bn(expanded, expanded, kernel, stride, groups=expanded) if stride > 1 else nn.Identity()
        )
        self.se = SqueezeExcite(expanded, SE_RATIO) if se else nn.Identity()
        self.down = Ghost(expanded, outputs, relu=False)
        if stride == 1 and inputs == outputs:
            self.shortcut: nn.Module = nn.Identity()
        else:
            self.shortcut = nn.Sequential(
                conv_bn(inputs, inputs, kernel, stride, groups=inputs), conv_bn(inputs, outputs, 1)
            )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.shortcut(x) + self.down(self.se(self.depthwise(self.up(x))))
        return y


class MobileSelfAttention(nn.Module):
    """MoSA: attention over all positions with one projection for query, key and value (section 3.1).

    (B, C, H, W) -> (B, C, H, W). Channels come before positions throughout: with t = (B, heads, d, N) the
    product t^T t needs no transpose of the feature map in any of the three formats, and LiteRT's SOFTMAX and
    coremltools' passes handle it.
    """

    def __init__(self, channels: int, config: MoCoViTConfig) -> None:
        super().__init__()
        if channels % config.num_heads:
            raise UsageError(f"num_heads: {config.num_heads} does not divide {channels} channels")
        self.heads = config.num_heads
        self.head_channels = channels // config.num_heads
        self.value = Ghost(channels, channels, relu=config.value_relu)
        kernel = config.refiner_kernel
        self.refiner = (
            conv_bn(channels, channels, kernel, groups=channels)
            if config.refiner_batchnorm
            else nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False)
        )
        self.out = Ghost(channels, channels, relu=config.attention_relu)

    def forward(self, x: Tensor) -> Tensor:
        v = self.value(x)  # (B, C, H, W)
        height, width = v.shape[-2:]
        t = v.reshape(-1, self.heads, self.head_channels, height * width)  # (B, heads, d, N)
        scores = (t.transpose(-2, -1) @ t) * self.head_channels**-0.5  # (B, heads, N, N)
        attended = t @ F.softmax(scores, dim=-1).transpose(-2, -1)  # (B, heads, d, N)
        y: Tensor = self.out(attended.reshape(-1, x.shape[1], height, width) + self.refiner(v))
        return y


class TransformerBlock(nn.Module):
    """H = X + MoSA(X), Y = H + MoFFN(H): two residuals, no LayerNorm, no position encoding (section 3.3).

    (B, C, H, W) -> (B, C, H, W).
    """

    def __init__(self, channels: int, expanded: int, se: bool, config: MoCoViTConfig) -> None:
        super().__init__()
        self.attention = MobileSelfAttention(channels, config)
        self.up = Ghost(channels, expanded, relu=config.ffn_relu)
        self.se = SqueezeExcite(expanded, config.transformer_se_ratio) if se else nn.Identity()
        self.down = Ghost(expanded, channels, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        h = x + self.attention(x)
        y: Tensor = h + self.down(self.se(self.up(h)))
        return y


class MoCoViT(nn.Module):
    """The whole network: (B, 3, S, S) -> (B, num_classes) logits, for any S that the strides leave >= 1."""

    def __init__(self, config: MoCoViTConfig) -> None:
        super().__init__()

        def wide(channels: int) -> int:
            return make_divisible(channels * config.width)

        self.stem = conv_bn(3, wide(STEM_CHANNELS), 3, stride=2, relu=True)
        blocks: list[nn.Module] = []
        channels = wide(STEM_CHANNELS)
        self.channels = (channels, *(wide(outputs) for _, _, _, outputs, _, _ in BLOCKS))
        """Channels of the maps after the stem and after each block."""
        transformer_se = iter(config.transformer_se)
        for kind, kernel, expanded, outputs, se, stride in BLOCKS:
            if kind == "ghost":
                blocks.append(GhostBottleneck(channels, kernel, wide(expanded), wide(outputs), se, stride))
            else:
                blocks.append(TransformerBlock(channels, wide(expanded), next(transformer_se), config))
            channels = wide(outputs)
        self.blocks = nn.Sequential(*blocks)
        self.tail = conv_bn(channels, wide(TAIL_CHANNELS), 1, relu=True)
        self.features = nn.Conv2d(wide(TAIL_CHANNELS), FEATURES, 1)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(FEATURES, config.num_classes)

    def forward(self, image: Tensor) -> Tensor:
        x = self.tail(self.blocks(self.stem(image)))
        x = F.relu(self.features(F.adaptive_avg_pool2d(x, 1)))
        logits: Tensor = self.classifier(self.dropout(x.flatten(1)))
        return logits


STRIDES = (2, 4, 8, 16, 32)
"""The strides of the maps inside."""


class MoCoViTMaps(nn.Module):
    """The stem and the blocks of a `MoCoViT`: (B, 3, H, W) -> the last map at each of `strides`, in order.

    Blocks that no map needs are left out.
    """

    def __init__(self, network: MoCoViT, strides: Sequence[int]) -> None:
        super().__init__()
        reached = list(accumulate((stride for *_, stride in BLOCKS), mul, initial=STRIDES[0]))
        last = {stride: place for place, stride in enumerate(reached)}
        self.after = tuple(last[stride] for stride in strides)
        """How many blocks come before each map."""
        self.channels = tuple(network.channels[place] for place in self.after)
        self.stem = network.stem
        self.blocks = nn.Sequential(*list(network.blocks)[: max(self.after)])

    def forward(self, image: Tensor) -> list[Tensor]:
        x = self.stem(image)
        maps = [x]
        for block in self.blocks:
            x = block(x)
            maps.append(x)
        return [maps[place] for place in self.after]
