"""A network of one block of each kind, for tests that export: `tests/helpers/tiny_networks.py:tiny`."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor, nn

from mocovit_deploy.models.inputs import pictures_like
from mocovit_deploy.models.mocovit_network import GhostBottleneck, MoCoViTConfig, TransformerBlock, conv_bn
from mocovit_deploy.models.seeded import enliven
from mocovit_deploy.parity.samples import random_crops
from mocovit_deploy.spec import InputSpec


def alive(module: nn.Module, *example: Tensor) -> nn.Module:
    """`module` with BatchNorms that matter, as training leaves them: users' networks are never changed."""
    batches = [example] if example else [(pictures_like(InputSpec(size=32)),)]
    enliven(module.eval(), batches)
    return module


class Tiny(nn.Module):
    """Stem, one Ghost bottleneck with everything in it, one transformer block, classifier."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = conv_bn(3, 8, 3, stride=2, relu=True)
        self.ghost = GhostBottleneck(8, 5, 24, 16, True, 2)
        with torch.no_grad():
            self.ghost.se.reduce.bias.abs_().add_(0.5)  # or its ReLU is dead on most images
        self.transformer = TransformerBlock(16, 32, True, MoCoViTConfig())
        self.dropout = nn.Dropout(0.1)
        self.classifier = nn.Linear(16, classes)

    def forward(self, image: Tensor) -> Tensor:
        x = self.transformer(self.ghost(self.stem(image)))
        logits: Tensor = self.classifier(self.dropout(x.mean((2, 3))))
        return logits


def tiny(classes: str = "10") -> nn.Module:
    return alive(Tiny(int(classes)))


class TwoHeads(nn.Module):
    """`Tiny` with a second classifier, whose output is as large as the first's."""

    def __init__(self) -> None:
        super().__init__()
        self.body = Tiny(10)
        self.aux = nn.Linear(16, 10)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        x = self.body.transformer(self.body.ghost(self.body.stem(image)))
        means = x.mean((2, 3))
        return {"main": self.body.classifier(means), "aux": self.aux(means)}


def two_heads() -> nn.Module:
    return alive(TwoHeads())


class BestClass(nn.Module):
    """`Tiny`, saying which class it is and nothing else: an integer output."""

    def __init__(self) -> None:
        super().__init__()
        self.body = Tiny(10)

    def forward(self, image: Tensor) -> Tensor:
        return self.body(image).argmax(1)


def best_class() -> nn.Module:
    return alive(BestClass())


def pictures(image: InputSpec, images: int | None) -> npt.NDArray[Any]:
    """Images to calibrate on."""
    return random_crops(image, seed=9, count=images or 16)[:, 0]


def not_a_network() -> str:
    return "not a network"


def failing() -> nn.Module:
    raise ValueError("out of cheese")


class Silu(nn.Module):
    """A SiLU of values around `bias`, made large again by what reads it."""

    def __init__(self, bias: float) -> None:
        super().__init__()
        self.conv, self.silu, self.head = nn.Conv2d(3, 8, 1), nn.SiLU(), nn.Conv2d(8, 4, 1, bias=False)
        torch.nn.init.constant_(self.conv.bias, bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.silu(self.conv(x))).mean((2, 3))


def silu(bias: str = "0") -> nn.Module:
    torch.manual_seed(0)
    return Silu(float(bias)).eval()


class ErrorFunction(nn.Module):
    """A network with an operation that TFLite has no operator for."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, stride=2)
        self.act = Erf()

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.act(self.stem(image)).mean((2, 3))
        return logits


class Erf(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.erf()


def error_function() -> nn.Module:
    return ErrorFunction()


class LayerScaled(nn.Module):
    """A residual branch behind a scale of 1e-5 per channel, as training starts it, and every pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.branch, self.last = (
            nn.Conv2d(3, 8, 3, 2, 1),
            nn.Conv2d(8, 8, 3, 1, 1),
            nn.Conv2d(8, 8, 1),
        )
        self.gamma = nn.Parameter(torch.linspace(1e-5, 3e-5, 8).reshape(8, 1, 1))
        self.head = nn.Linear(8, 5)

    def forward(self, image: Tensor) -> Tensor:
        x = nn.functional.max_pool2d(self.stem(image), 3, 1, 1)
        x = x + self.branch(x) * self.gamma
        x = self.last(nn.functional.avg_pool2d(x, 3, 1, 1))
        logits: Tensor = self.head(nn.functional.max_pool2d(x, 3, 2, 1).mean((2, 3)))
        return logits


def layer_scaled() -> nn.Module:
    torch.manual_seed(0)
    return LayerScaled()
