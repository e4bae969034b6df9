"""Small networks that tests share, all with BatchNorm that matters."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mocovit_deploy.models.mocovit_network import MoCoViT, MoCoViTConfig
from mocovit_deploy.models.seeded import build_seeded
from mocovit_deploy.spec import InputSpec


def randomise_batchnorm(module: nn.Module, seed: int = 0) -> nn.Module:
    """mu and beta in [-1, 1], gamma in [1/2, 3/2], var in [1/4, 4]: a fold that forgets one is visible."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(like: Tensor, low: float, high: float) -> Tensor:
        return torch.rand(like.shape, generator=generator, dtype=like.dtype) * (high - low) + low

    for norm in module.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm) and norm.running_mean is not None:
            norm.running_mean.copy_(uniform(norm.running_mean, -1, 1))
            norm.running_var.copy_(uniform(norm.running_var, 0.25, 4))
            if norm.affine:
                norm.weight.data.copy_(uniform(norm.weight, 0.5, 1.5))
                norm.bias.data.copy_(uniform(norm.bias, -1, 1))
    return module.eval()


def tiny_mocovit(**options: object) -> MoCoViT:
    """MoCoViT at a quarter of its width, for 64-pixel images and ten classes, alive in every layer."""
    config = MoCoViTConfig(**{"width": 0.25, "num_classes": 10, **options})  # type: ignore[arg-type]
    network = build_seeded(lambda: MoCoViT(config), InputSpec(size=64), seed=1)
    assert isinstance(network, MoCoViT)
    return network


def picture(batch: int = 1, size: int = 64, channels: int = 3, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, channels, size, size, generator=generator)


class Lambda(nn.Module):
    """A module whose forward is the function it was given, for one-operation networks."""

    def __init__(self, function, **children: nn.Module) -> None:  # type: ignore[no-untyped-def]
        super().__init__()
        self.function = function
        for name, child in children.items():
            self.add_module(name, child)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)
