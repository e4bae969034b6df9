"""A random network that is alive, and well conditioned: every layer of it matters, none of it is chaos.

Fresh BatchNorm (mean 0, variance 1) is nearly the identity, so that folding it wrongly goes unseen; BatchNorm
with random statistics lets the activations of a deep network die, so that its output barely depends on its
input and a comparison proves nothing. Here scale and shift are random and the statistics are measured.

Shifts are positive: with shifts of both signs half of every activation sits at the bend of its ReLU or SiLU,
and a deep random network multiplies rounding errors from layer to layer (13610-fold in timm's
efficientnet_b1, whose float32 outputs then differ from its float64 ones by 1.6e-3; 2-fold with these).
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
"""Of layer scales and residual gains, which begin at 1e-6 to 1e-2 and leave a branch invisible."""
WEIGHTED = (nn.Linear, _ConvNd)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Random numbers inside depend on `seed` alone; the caller's random state is untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def build_seeded(build: Callable[[], nn.Module], example: InputSpec, seed: int) -> nn.Module:
    """Build an image network in eval mode, with weights that depend on `seed` alone, and enliven it."""
    with seeded(seed):
        module = build().eval()
        enliven(module, [(pictures_like(example),)])
    return module


def enliven(module: nn.Module, batches: Sequence[tuple[Tensor, ...]]) -> None:
    """Give every normalisation a random scale and shift, every BatchNorm statistics measured on `batches`.

    Biases that are zero throughout, as initialisers leave them, become small random numbers, so that losing
    one is visible. Uses torch's global generator.
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
    """One value per channel has no variance: torch refuses to normalise by it; the norm stays as it is."""
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
    """Random numbers in place of one constant: near it, or where it is small, large enough to matter."""
    constant = float(parameter.flatten()[0])
    if not weights:
        ends = BIASES if not constant else GAINS if abs(constant) < GAINS[0] else SCALES
        nn.init.uniform_(parameter, *ends)
        parameter.mul_(constant if ends is SCALES else 1.0)
    elif not constant:
        nn.init.kaiming_uniform_(parameter, a=5**0.5)  # as torch draws weights of its own
