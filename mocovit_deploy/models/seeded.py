"""A random network that is alive: every layer of it matters to what comes out.

Fresh BatchNorm (mean 0, variance 1) is nearly the identity, so that folding it wrongly goes unseen; BatchNorm
with random statistics lets the activations of a deep network die, so that its output barely depends on its
input and a comparison proves nothing. Here scale and shift are random and the statistics are measured.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mocovit_deploy.spec import InputSpec


def build_seeded(build: Callable[[], nn.Module], example: InputSpec, seed: int) -> nn.Module:
    """Build a network with weights that depend on `seed` alone; the caller's random state is untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = build().eval()
        enliven(module, _pictures_like(example))
    return module


def enliven(module: nn.Module, pictures: Tensor) -> None:
    """Draw scale from [1/2, 3/2] and shift from [-1/2, 1/2] for every BatchNorm, then measure its statistics.

    `pictures` is a batch the network takes, (B, C, H, W). Uses torch's global generator.
    """
    norms = [child for child in module.modules() if isinstance(child, _BatchNorm)]
    for norm in norms:
        if norm.affine:
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.uniform_(norm.bias, -0.5, 0.5)
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain average over what is seen
        norm.train()
    with torch.no_grad():
        module(pictures)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


def _pictures_like(example: InputSpec, count: int = 8) -> Tensor:
    """Noise at two scales, each picture with its own contrast and brightness: (count, C, S, S)."""
    channels, size = example.channels, example.size
    coarse = F.interpolate(torch.randn(count, channels, 7, 7), (size, size), mode="bilinear")
    fine = torch.randn(count, channels, size, size)
    contrast = torch.rand(2, count, 1, 1, 1)
    brightness = torch.randn(count, channels, 1, 1)
    return 2 * contrast[0] * coarse + 0.3 * contrast[1] * fine + brightness
