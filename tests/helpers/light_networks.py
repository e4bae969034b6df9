"""Small networks as one-file collections write them: functions that take nothing and return a network."""

from __future__ import annotations

import torch
from tiny_networks import alive
from torch import Tensor, nn


def _conv_bn(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU6(inplace=True)
    )


class _ShuffleUnit(nn.Module):
    """Half of the channels through a bottleneck, then the halves are interleaved."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.branch = nn.Sequential(
            nn.Conv2d(half, half, 1, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(inplace=True),
            nn.Conv2d(half, half, 3, 1, 1, groups=half, bias=False),
            nn.BatchNorm2d(half),
        )

    def forward(self, x: Tensor) -> Tensor:
        left, right = x.chunk(2, dim=1)
        x = torch.cat((left, self.branch(right)), dim=1)
        batch, channels, height, width = x.size()
        x = x.view(batch, 2, channels // 2, height, width)
        return x.transpose(1, 2).contiguous().view(batch, -1, height, width)


class _SELayer(nn.Module):
    """Squeeze and excitation with linear layers, and a BatchNorm1d between them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Sequential(
            nn.Linear(channels, channels // 4),
            nn.BatchNorm1d(channels // 4),
            nn.ReLU(inplace=True),
            nn.Linear(channels // 4, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        b, c, _, _ = x.size()
        y = self.fc(self.avg_pool(x).view(b, c)).view(b, c, 1, 1)
        y = torch.clamp(y, 0, 1)
        return x * y


class _Net(nn.Module):
    def __init__(self, body: nn.Module, channels: int, num_classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(_conv_bn(3, channels, 2), body)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(channels, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = x.mean(3).mean(2)
        return self.classifier(x)


def shuffle_like() -> nn.Module:
    return alive(_Net(nn.Sequential(_ShuffleUnit(16), _ShuffleUnit(16)), 16))


def squeeze_like() -> nn.Module:
    return alive(_Net(nn.Sequential(_conv_bn(16, 16, 1), _SELayer(16)), 16))


class _Detector(nn.Module):
    """An image that is not square and a vector in; a dictionary with a tuple in it out."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _conv_bn(3, 8, 2)
        self.prompt = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.LayerNorm(8))
        self.boxes = nn.Conv2d(8, 4, 1)
        self.scores = nn.Linear(8, 5)

    def forward(self, picture: Tensor, prompt: Tensor) -> dict[str, object]:
        x = self.stem(picture) + self.prompt(prompt)[:, :, None, None]
        pooled = x.mean((2, 3))
        return {"boxes": self.boxes(x), "heads": (self.scores(pooled), pooled)}


def detector() -> nn.Module:
    net = alive(_Detector(), torch.randn(8, 3, 24, 40), torch.randn(8, 4))
    net.example_inputs = (torch.randn(1, 3, 24, 40), torch.randn(1, 4))  # type: ignore[assignment]
    return net


class _Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, batch: dict[str, Tensor], scale: Tensor) -> list[Tensor]:
        return [self.conv(batch["left"]) * scale, self.conv(batch["right"])]


def nested() -> nn.Module:
    """One argument is a dictionary of tensors; the other is called by name."""
    net = _Nested()
    pair = {"left": torch.randn(1, 3, 8, 12), "right": torch.randn(1, 3, 8, 12)}
    net.example_inputs = {"scale": torch.ones(1), "batch": pair}  # type: ignore[assignment]
    return net
