"""Random weights for tests of exports: every layer changes the outputs, and rounding errors do not grow.

A fresh BatchNorm (mean 0, variance 1) is nearly the identity, so folding it wrongly would not be noticed.
With random BatchNorm statistics the activations of a deep network vanish, so its output hardly depends on its
input and a comparison proves nothing. Here scale and shift are random, and the statistics are measured.

Shifts are positive. With shifts of both signs half of every activation lies at the bend of its ReLU or SiLU,
and a deep random network multiplies rounding errors from layer to layer: 13610-fold in timm's
efficientnet_b1, whose float32 outputs then differ from its float64 ones by 1.6e-3; 2-fold with positive
shifts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from mocovit_deploy.models.inputs import pictures_like
from mocovit_deploy.spec import InputSpec

SCALES = (0.5, 1.5)
SHIFTS = (0.0, 1.0)
BIASES = (-0.1, 0.1)
GAINS = (0.2, 0.6)
"""For layer scales and residual gains. Their initial values, 1e-6 to 1e-2, would hide a branch."""
WEIGHTED = (nn.Linear, _ConvNd)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside the block, random numbers depend only on `seed`; the caller's random state is restored."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def build_seeded(build: Callable[[], nn.Module], example: InputSpec, seed: int) -> nn.Module:
    """Build an image network in eval mode and `enliven` it, with weights that depend only on `seed`."""
    with seeded(seed):
        module = build().eval()
        enliven(module, [(pictures_like(example),)])
    return module


def enliven(module: nn.Module, batches: Sequence[tuple[Tensor, ...]]) -> None:
    """Give every normalisation a random scale and shift, and measure BatchNorm statistics on `batches`.

    Parameters that are constant, such as zero biases, become random numbers, so that the loss of one is
    visible. Uses torch's global generator.
    """
    with torch.no_grad():
        _randomise_what_is_constant(module)
    norms = [
        child for child in module.modules() if isinstance(child, _BatchNorm) and child.track_running_stats
    ]
    momenta = [norm.momentum for norm in norms]
    hooks = [norm.register_forward_pre_hook(_measure_where_there_is_variance) for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain average over what is seen
    try:
        with torch.no_grad():
            for batch in batches:
                module(*batch)
    finally:
        for norm, momentum, hook in zip(norms, momenta, hooks, strict=True):
            hook.remove()
            norm.momentum = momentum
            norm.eval()


def _measure_where_there_is_variance(norm: nn.Module, arguments: tuple[Tensor, ...]) -> None:
    """Measure statistics unless there is a single value per channel, whose variance torch refuses."""
    (x,) = arguments
    norm.train(x.numel() > x.shape[1])


def _randomise_what_is_constant(module: nn.Module) -> None:
    for child in module.modules():
        norm = isinstance(child, _BatchNorm | nn.LayerNorm | nn.GroupNorm)
        for name, parameter in child.named_parameters(recurse=False):
            if norm and name in ("weight", "bias"):
                nn.init.uniform_(parameter, *(SCALES if name == "weight" else SHIFTS))
            elif parameter.is_floating_point() and _is_constant(parameter):
                _redraw(parameter, weights=isinstance(child, WEIGHTED) and name == "weight")


def _is_constant(parameter: Tensor) -> bool:
    return parameter.numel() > 0 and bool((parameter == parameter.flatten()[0]).all())


def _redraw(parameter: Tensor, *, weights: bool) -> None:
    """Replace a constant by random numbers near it; if it is small, by numbers large enough to matter."""
    constant = float(parameter.flatten()[0])
    if not weights:
        ends = BIASES if not constant else GAINS if abs(constant) < GAINS[0] else SCALES
        nn.init.uniform_(parameter, *ends)
        parameter.mul_(constant if ends is SCALES else 1.0)
    elif not constant:
        nn.init.kaiming_uniform_(parameter, a=5**0.5)  # as torch draws weights of its own
