"""The inputs of a network: one image, or the tensors of its `example_inputs`."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.errors import UsageError, unknown_choice
from mocovit_deploy.graph.wrapper import Wrapper
from mocovit_deploy.models.names import Path, parameters_of
from mocovit_deploy.parity.samples import random_crops, samples
from mocovit_deploy.spec import (
    COLOUR_ORDERS,
    PIXELS,
    InputSpec,
    OwnInput,
    Preprocessing,
    sides_text,
    size_fields,
)

UNTOUCHED = Preprocessing(scale=1.0, mean=(0.0,), std=(1.0,), colour_order="")
"""For a network that does not take one image: its inputs are not preprocessed."""
VARIATIONS = 8
"""How many samples are made from example inputs."""
RANDOM_CALIBRATION = 32
"""The most runs of random inputs for calibration; more of them would add little."""


class Flattened(Wrapper):
    """Takes the tensors one by one that `network` takes in lists or dictionaries."""

    def __init__(self, network: nn.Module, structure: pytree.TreeSpec) -> None:
        super().__init__(network)
        self.structure = structure

    def forward(self, *tensors: Tensor) -> Any:
        return self.run(*pytree.tree_unflatten(list(tensors), self.structure))


@dataclass(frozen=True)
class Inputs:
    """The tensors that a network takes."""

    image: InputSpec
    """The image, if the network takes one; else only `preprocessing` counts, which is `UNTOUCHED`."""
    example: tuple[Tensor, ...] | None
    """The inputs of one run, as the network declares them; None if it takes one image."""
    paths: tuple[Path, ...] = ((0,),)
    """Where each tensor stands in the arguments of `forward`."""

    def for_capture(self, seed: int, free_batch: bool) -> tuple[Tensor, ...]:
        """The inputs of one run, to trace.

        A free batch is at least 2, because torch.export would fix a batch of 1.
        """
        if self.example is None:
            batch, *rest = self.image.shape
            shape = (max(batch, 2) if free_batch else batch, *rest)
            generator = torch.Generator().manual_seed(seed)
            if self.image.dtype == "uint8":
                return (torch.randint(256, shape, generator=generator, dtype=torch.uint8),)
            return (torch.randn(shape, generator=generator),)
        if not free_batch:
            return self.example
        return tuple(torch.cat([tensor, tensor]) if len(tensor) == 1 else tensor for tensor in self.example)

    def for_parity(self, seed: int) -> tuple[tuple[str, ...], tuple[Array, ...]]:
        """The names of the parity samples, and one array (samples, ...) for each input."""
        if self.example is None:
            names, pictures = samples(self.image, seed)
            return names, (pictures,)
        generator = torch.Generator().manual_seed(seed)
        runs = [self.example, *(self._variation(generator) for _ in range(VARIATIONS - 1))]
        titles = ("example", *(f"variation {i}" for i in range(1, VARIATIONS)))
        columns = (np.stack([tensor.numpy() for tensor in column]) for column in zip(*runs, strict=True))
        return titles, tuple(columns)

    def for_random_calibration(self, seed: int, most: int) -> tuple[Array, ...]:
        """Random inputs to calibrate on without images: for each input one array (runs, ...), at most `most`.

        None of them is a parity sample.
        """
        count = min(most, RANDOM_CALIBRATION)
        if self.example is None:
            return (random_crops(self.image, seed + 1, count),)
        generator = torch.Generator().manual_seed(seed + 1)
        runs = [self._variation(generator) for _ in range(count)]
        return tuple(np.stack([tensor.numpy() for tensor in column]) for column in zip(*runs, strict=True))

    def for_statistics(self) -> list[tuple[Tensor, ...]]:
        """Inputs to measure BatchNorm statistics on; uses torch's global generator."""
        if self.example is None:
            return [(pictures_like(self.image),)]
        return [self._variation(None) for _ in range(VARIATIONS)]

    def _variation(self, generator: torch.Generator | None) -> tuple[Tensor, ...]:
        """Other numbers like the example's: floats with its mean and deviation, integers out of its own."""
        assert self.example is not None
        varied = []
        for tensor in self.example:
            if tensor.is_floating_point():
                spread = float(tensor.std()) if tensor.numel() > 1 else 0.0
                noise = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
                varied.append(tensor.mean() + noise * (spread or 1.0))
            else:
                order = torch.randint(max(tensor.numel(), 1), (tensor.numel(),), generator=generator)
                varied.append(tensor.flatten()[order].reshape(tensor.shape))
        return tuple(varied)


def inputs_of(network: nn.Module, asked: InputSpec | OwnInput, own: InputSpec) -> tuple[nn.Module, Inputs]:
    """The network, flattened if its arguments hold lists or dictionaries, and its inputs.

    `asked` is the user's choice, `own` the input that the network's source declares. Raises `UsageError` for
    `example_inputs` that hold no tensor, or other objects, or that contradict `asked`, and for a
    preprocessing that cannot be used.
    """
    declared: Any = getattr(network, "example_inputs", None)
    if declared is None:
        return network, Inputs(_asked_image(asked, own), None)
    arguments = _by_position(network, declared)
    keyed, structure = pytree.tree_flatten_with_path(arguments)
    leaves = [leaf for _, leaf in keyed]
    paths = tuple(path_of(key) for key, _ in keyed)
    for path, leaf in zip(paths, leaves, strict=True):
        if not isinstance(leaf, Tensor):
            where = ".".join(map(str, path))
            raise UsageError(f"example_inputs: {where} is a {type(leaf).__name__}, not a tensor")
    if not leaves:
        raise UsageError("example_inputs holds no tensor")
    for path, leaf in zip(paths, leaves, strict=True):
        if not leaf.numel():
            where = ".".join(map(str, path))
            raise UsageError(f"example_inputs: {where} is empty ({'x'.join(map(str, leaf.shape))})")
    example = tuple(leaf.detach().float() if leaf.is_floating_point() else leaf for leaf in leaves)
    if any(len(path) > 1 for path in paths):
        network = Flattened(network, structure)
    image = _as_image(example)
    _require_agreement(asked, image, example)
    if image is not None:
        own_way = (
            PIXELS if image.dtype == "uint8" else checked_preprocessing(own.preprocessing, image.channels)
        )
        return network, Inputs(_prepared(replace(image, preprocessing=own_way), asked), None, paths)
    if isinstance(asked, OwnInput) and asked.said:
        shapes = ", ".join("x".join(map(str, tensor.shape)) for tensor in example)
        raise UsageError(f"{_option(asked)}: the network takes {shapes}, not one image; leave the option out")
    return network, Inputs(replace(own, preprocessing=UNTOUCHED), example, paths)


def path_of(keys: Sequence[Any]) -> Path:
    """A pytree key path as keys, fields and positions."""

    def plain(entry: Any) -> str | int:
        if isinstance(entry, pytree.SequenceKey):
            return entry.idx
        return str(entry.key if isinstance(entry, pytree.MappingKey) else entry.name)

    return tuple(plain(entry) for entry in keys)


def pictures_like(image: InputSpec, count: int = VARIATIONS) -> Tensor:
    """Noise at two scales, each picture with its own contrast and brightness: (count, C, H, W)."""
    channels, sides = image.channels, image.sides
    coarse = F.interpolate(torch.randn(count, channels, 7, 7), sides, mode="bilinear")
    fine = torch.randn(count, channels, *sides)
    contrast = torch.rand(2, count, 1, 1, 1)
    brightness = torch.randn(count, channels, 1, 1)
    return 2 * contrast[0] * coarse + 0.3 * contrast[1] * fine + brightness


def _asked_image(asked: InputSpec | OwnInput, own: InputSpec) -> InputSpec:
    if isinstance(asked, InputSpec):
        return asked
    size, width = (own.size, own.width) if asked.size is None else (asked.size, asked.width)
    return _prepared(replace(own, size=size, width=width, batch=asked.batch or own.batch), asked)


def _prepared(image: InputSpec, asked: InputSpec | OwnInput) -> InputSpec:
    """`image` with the preprocessing of `asked`; fields that are not given keep their value."""
    if isinstance(asked, InputSpec):
        return replace(image, preprocessing=asked.preprocessing)
    said = asked.said
    own = image.preprocessing
    if image.dtype == "uint8" and said.keys() - {"colour_order"}:
        raise UsageError(f"{_option(asked)}: the network takes uint8 pixels unchanged; leave the option out")
    if asked.colour_order is not None and image.channels == 1:
        raise UsageError(
            f"--colour-order {asked.colour_order}: the network takes grey images; leave the option out"
        )
    for name, values in (("mean", asked.mean), ("std", asked.std)):
        if values is not None:
            if len(values) not in (1, image.channels):
                raise UsageError(
                    f"--{name} has {len(values)} numbers, but the image has {image.channels} channels; give "
                    "one number for each, or one for all"
                )
            said[name] = values * image.channels if len(values) == 1 else values
    still = tuple(name for name in own.assumed if name not in said)
    return replace(image, preprocessing=replace(own, **said, assumed=still))  # type: ignore[arg-type]


def checked_preprocessing(how: Preprocessing, channels: int) -> Preprocessing:
    """`how` with one number for each channel.

    Raises `UsageError` for another count of numbers, for values that are not finite, and for a division by 0.
    """
    usual = Preprocessing()  # has three numbers; a grey image takes the first
    for name, numbers in (("mean", how.mean), ("std", how.std)):
        if len(numbers) not in (1, channels) and numbers != getattr(usual, name):
            raise UsageError(
                f"preprocessing.{name} has {len(numbers)} numbers, but the image has {channels} channels"
            )
        if not all(map(math.isfinite, numbers)) or (name == "std" and min(numbers) <= 0):
            needed = "finite and above 0" if name == "std" else "finite"
            raise UsageError(f"preprocessing.{name}={numbers}: every number must be {needed}")
    if not how.scale or not math.isfinite(how.scale):
        raise UsageError(f"preprocessing.scale={how.scale}: must be finite, and not 0")
    if how.colour_order not in COLOUR_ORDERS:
        raise unknown_choice("colour order", how.colour_order, COLOUR_ORDERS)
    mean, std = (numbers * channels if len(numbers) == 1 else numbers for numbers in (how.mean, how.std))
    return replace(how, mean=mean, std=std)


def _option(asked: OwnInput) -> str:
    """The first option about preprocessing that was given, as on the command line."""
    return f"--{next(iter(asked.said)).replace('_', '-')}"


def _by_position(network: nn.Module, declared: Any) -> tuple[Any, ...]:
    if isinstance(declared, Mapping) and isinstance(network, torch.jit.ScriptModule):
        order = parameters_of(network.forward)
        if declared.keys() - set(order):
            raise UsageError(f"example_inputs does not fit the parameters of forward: {', '.join(order)}")
        return tuple(declared[name] for name in order if name in declared)
    if isinstance(declared, Mapping):
        try:
            return inspect.signature(network.forward).bind(**declared).args
        except TypeError as error:
            raise UsageError(f"example_inputs does not fit the parameters of forward: {error}") from None
    return tuple(declared) if isinstance(declared, tuple | list) else (declared,)


def _as_image(example: tuple[Tensor, ...]) -> InputSpec | None:
    """The image, if the example is one grey or colour image; else None."""
    dtypes = {torch.float32: "float32", torch.uint8: "uint8"}
    if len(example) != 1 or example[0].dim() != 4 or example[0].dtype not in dtypes:
        return None
    batch, channels, height, width = example[0].shape
    if channels not in (1, 3):
        return None
    sides = size_fields((height, width))
    return InputSpec(**sides, channels=channels, batch=batch, dtype=dtypes[example[0].dtype])


def _require_agreement(
    asked: InputSpec | OwnInput, image: InputSpec | None, example: tuple[Tensor, ...]
) -> None:
    shapes = ", ".join("x".join(map(str, tensor.shape)) for tensor in example)
    sides = None if asked.size is None else asked.sides
    for option, wanted, fixed in (
        ("--image-size", sides, image and image.sides),
        ("--batch", asked.batch, len(example[0]) if example[0].dim() else 1),
    ):
        if wanted is not None and wanted != fixed:
            said = wanted if isinstance(wanted, int) else sides_text(wanted)
            raise UsageError(
                f"{option} {said}: the network's own example inputs are {shapes}; leave {option} out"
            )
