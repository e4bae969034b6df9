"""What goes wrong in converters and in hand-made deployments, one defect each.

A defect is given a file cut open and a number to choose a place by; it changes one thing and says in which
torch module, or says nothing where the file has no such place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.artifacts.marks import split_mark
from planting.surgery import Layer, Surgeon

Variances = Mapping[str, tuple[Array, Array, float]]
"""Of the BatchNorm folded into an operation, by the operation's name: variance, beta, epsilon."""
Defect = Callable[[Surgeon, int, Variances], str | None]


class NoSuchPlace(Exception):  # noqa: N818 - not an error: the file has no layer for this defect
    """A file has no layer that a defect fits."""


def weight_changed(surgeon: Surgeon, place: int, _: Variances) -> str | None:
    layer = _choose(surgeon, place, lambda _: True)
    flat = layer.weight.reshape(-1)
    flat[int(np.abs(flat).argmax())] *= 0.5
    return _done(surgeon, layer)


def bias_dropped(surgeon: Surgeon, place: int, _: Variances) -> str | None:
    layer = _choose(surgeon, place, lambda one: one.bias is not None and bool(one.bias.any()))
    layer.bias = np.zeros_like(layer.bias)
    return _done(surgeon, layer)


def kernel_transposed(surgeon: Surgeon, place: int, _: Variances) -> str | None:
    layer = _choose(surgeon, place, lambda one: one.weight.ndim == 4 and one.weight.shape[-1] > 1)
    layer.weight = layer.weight.swapaxes(2, 3)
    return _done(surgeon, layer)


def epsilon_wrong(surgeon: Surgeon, place: int, norms: Variances) -> str | None:
    """As folded by somebody who takes 1e-3 for every epsilon, TensorFlow's for PyTorch's."""
    layer = _choose(surgeon, place, lambda one: split_mark(one.mark)[1] in norms and one.bias is not None)
    variance, beta, epsilon = norms[split_mark(layer.mark)[1]]
    ratio = np.sqrt((variance + epsilon) / (variance + 1e-3))
    layer.weight = layer.weight * ratio.reshape(-1, *[1] * (layer.weight.ndim - 1))
    layer.bias = (layer.bias - beta) * ratio + beta
    return _done(surgeon, layer)


def scale_off_by_a_step(surgeon: Surgeon, place: int, _: Variances) -> str | None:
    """One output channel's scale, one step of 127 too large."""
    layer = _choose(surgeon, place, lambda _: True)
    channel = place % len(layer.weight)
    layer.weight[channel] *= 128 / 127
    return _done(surgeon, layer)


def channels_swapped(surgeon: Surgeon, place: int, _: Variances) -> str | None:
    layer = _choose(surgeon, place, lambda one: len(one.weight) > 1)
    order = np.arange(len(layer.weight))
    order[[0, 1]] = 1, 0
    layer.weight = layer.weight[order]
    layer.bias = None if layer.bias is None else layer.bias[order]
    return _done(surgeon, layer)


def relu_missing(surgeon: Surgeon, place: int, _: Variances) -> str | None:
    relus = surgeon.relus()
    if not relus:
        return None
    mark = relus[place % len(relus)]
    surgeon.without_relu(mark)
    return split_mark(mark)[0]


DEFECTS: tuple[Defect, ...] = (
    weight_changed,
    bias_dropped,
    kernel_transposed,
    epsilon_wrong,
    scale_off_by_a_step,
    channels_swapped,
    relu_missing,
)


def _choose(surgeon: Surgeon, place: int, fits: Callable[[Layer], bool]) -> Layer:
    """The `place`-th of the layers that fit, round and round. Raises `NoSuchPlace` where none does."""
    layers = [layer for layer in surgeon.layers() if layer.mark and fits(layer)]
    if not layers:
        raise NoSuchPlace
    layer = layers[place % len(layers)]
    layer.weight = np.array(layer.weight, np.float32)
    return layer


def _done(surgeon: Surgeon, layer: Layer) -> str:
    surgeon.put_back(layer)
    return split_mark(layer.mark)[0]
