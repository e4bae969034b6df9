"""Run the original network on the parity samples; every file of one export is judged against the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mocovit_deploy.artifacts.artifact import Array, as_taken
from mocovit_deploy.artifacts.golden import Golden
from mocovit_deploy.errors import ConversionError
from mocovit_deploy.formats import Written
from mocovit_deploy.models.double import rounding_of
from mocovit_deploy.models.load import Network
from mocovit_deploy.quantization.calibration_set import CalibrationSet
from mocovit_deploy.spec import BATCH, ExportRequest, TensorSpec

SAMPLES = 8
"""Calibration images that are parity samples."""


@dataclass(frozen=True)
class Reference:
    """The parity samples, and the original network's outputs for them."""

    names: tuple[str, ...]
    """The name of each sample."""
    inputs: dict[str, Array]
    """By name, (samples, N, C, H, W), in PyTorch's layout."""
    outputs: dict[str, Array]
    """By name, (samples, ...), in the network's own precision."""
    rounding: dict[str, Array]
    """By name: the network's float64 output minus `outputs`, for outputs that have one."""
    no_float64: str
    """Why the network could not be run in float64, so that files are judged against `outputs`; else empty."""

    def output_specs(self, *, free_batch: bool = False, layout: str = "") -> tuple[TensorSpec, ...]:
        """The outputs of one run, as PyTorch has them; the first dimension is `BATCH` if it is free.

        `layout` is that of outputs with four dimensions.
        """
        return _specs(self.outputs, free_batch, layout)

    def input_specs(self, *, free_batch: bool = False, layout: str = "") -> tuple[TensorSpec, ...]:
        """The inputs of one run, likewise."""
        return _specs(self.inputs, free_batch, layout)


def _specs(samples: Mapping[str, Array], free_batch: bool, layout: str) -> tuple[TensorSpec, ...]:
    specs = []
    for name, array in samples.items():
        shape: tuple[int | str, ...] = array.shape[1:]
        free = (BATCH, *shape[1:]) if free_batch else shape
        specs.append(TensorSpec(name, free, str(array.dtype), layout if len(shape) == 4 else ""))
    return tuple(specs)


def run_original(
    network: Network, request: ExportRequest, samples: tuple[tuple[str, ...], Sequence[Array]] | None = None
) -> Reference:
    """Run the network on samples, in its own precision and in float64; by default the parity samples.

    `samples` holds their names, and an array (samples, batch, ...) for each input.
    Raises `ConversionError` if its outputs are not finite, or if their shapes depend on the input's values.
    """
    names, inputs = network.inputs.for_parity(request.model.seed) if samples is None else samples
    with torch.no_grad():
        runs = [network.module(*map(torch.from_numpy, sample)) for sample in zip(*inputs, strict=True)]
    results = [[leaf.numpy() for leaf in torch.utils._pytree.tree_leaves(run)] for run in runs]
    for name, arrays in zip(network.output_names, zip(*results, strict=True), strict=True):
        shapes = sorted({array.shape for array in arrays})
        if len(shapes) > 1:
            raise ConversionError(
                f"{network.name}: the shape of {name} depends on the input's values ({shapes[0]} for one, "
                f"{shapes[1]} for another), but files have fixed shapes; pad {name}, or leave that step to "
                "the app"
            )
    stacked = [np.stack(column) for column in zip(*results, strict=True)]
    for name, column in zip(network.output_names, stacked, strict=True):
        if not np.isfinite(column).all():
            raise ConversionError(
                f"{network.name}: the network itself computes NaN or infinity in {name}; check its weights"
            )
    rounding = rounding_of(network.module, inputs, stacked)
    return Reference(
        names=names,
        inputs=dict(zip(network.input_names, inputs, strict=True)),
        outputs=dict(zip(network.output_names, stacked, strict=True)),
        rounding={network.output_names[place]: array for place, array in rounding.differences.items()},
        no_float64=rounding.why_not,
    )


def calibration_samples(
    calibration: CalibrationSet, names: Sequence[str]
) -> tuple[tuple[str, ...], list[Array]]:
    """The calibration runs that files with fixed ranges are judged on, evenly chosen; `names` are of inputs.

    Such a file is right for what is like the images that its ranges are from. Photographs of flowers and
    random numbers say nothing of a network that reads digits: a MobileNetV3 in int8 is off there by a third
    of the range of its outputs, and names 98.7 % of digits as the network does.
    """
    places = sorted({int(place) for place in np.linspace(0, len(calibration) - 1, SAMPLES).round()})
    inputs = [np.ascontiguousarray(calibration.inputs[name][places]) for name in names]
    return tuple(f"calibration run {place}" for place in places), inputs


def golden_of(reference: Reference, written: Written) -> Golden:
    """The golden samples in the layout and the types of a written file.

    Raises `ConversionError` if a type of the file cannot hold the samples.
    """
    try:
        inputs = {spec.name: as_taken(reference.inputs[spec.name], spec) for spec in written.inputs}
    except ValueError as error:
        raise ConversionError(str(error)) from None
    return Golden(reference.names, inputs, reference.outputs, reference.rounding)


def yardstick_note(reference: Reference) -> tuple[str, ...]:
    """A note if the network could not be run in float64; else empty."""
    if not reference.no_float64:
        return ()
    text = (
        f"judged against the network in float32: it does not run in float64 ({reference.no_float64}), so its "
        "own rounding error is not known"
    )
    return (text,)
