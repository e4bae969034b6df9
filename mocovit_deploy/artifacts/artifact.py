"""An exported file as plain data. `manifest` and `golden` write and read what lies beside it.

    mocovit_1_0_224_fp32.tflite               the artifact (for Core ML a folder, .mlpackage)
    mocovit_1_0_224_fp32.tflite.json          the manifest: what it is, what made it, how it was checked
    mocovit_1_0_224_fp32.tflite.golden.npz    inputs, and the outputs of the *original* network for them

These three files are the whole interface between exporting and everything after it: parity checks and
benchmarks read them, on machines without torch. Numpy only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mocovit_deploy.spec import BATCH, Preprocessing, TensorSpec

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Artifact:
    """A written file and everything needed to run and judge it."""

    path: Path
    format: str
    recipe: str
    model: str
    weights: str
    """Where the weights came from, in words: "random, seed 0" or the checkpoint's name and digest."""
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    preprocessing: Preprocessing
    sha256: str
    golden_sha256: str
    tools: Mapping[str, str] = field(default_factory=dict)
    passes: tuple[Mapping[str, Any], ...] = ()
    quantization: Mapping[str, Any] | None = None
    """For a quantized file: calibration images and their digest, how ranges were chosen, what is in int8."""
    parity: Mapping[str, Any] | None = None
    accuracy: Mapping[str, Any] | None = None
    """Accuracy of the file and of the original on the user's labelled images; None if there were none."""
    source: Mapping[str, Any] | None = None
    """What the file was made from (`provenance`). None in older manifests."""
    lowering: tuple[Mapping[str, Any], ...] = ()
    """Rewrites of the format after the passes, each with name, changes by module path and float64 error."""
    task: Mapping[str, Any] | None = None
    """What the outputs mean (`Task.as_json`); None if the network does not declare it."""
    execution: Mapping[str, Any] | None = None
    """TFLite: partitions of XNNPACK, the operators outside them and why, transposes. None if not known."""

    @property
    def dynamic_batch(self) -> bool:
        """Whether the caller of the file chooses the batch."""
        return any(BATCH in tensor.shape for tensor in self.inputs)


def preprocessing_from(fields: Mapping[str, Any]) -> Preprocessing:
    """The preprocessing in a manifest's JSON object.

    Raises `KeyError`, `TypeError` or `ValueError` for an object that does not hold one.
    """
    built_in = fields.get("built_in")
    return Preprocessing(
        scale=float(fields["scale"]),
        mean=tuple(map(float, fields["mean"])),
        std=tuple(map(float, fields["std"])),
        colour_order=str(fields["colour_order"]),
        assumed=tuple(map(str, fields.get("assumed", ()))),
        built_in=None if built_in is None else preprocessing_from(built_in),
    )


def to_layout(array: Array, spec: TensorSpec) -> Array:
    """An image array (..., C, H, W) in the layout of the file; any other array unchanged."""
    return np.ascontiguousarray(np.moveaxis(array, -3, -1)) if spec.layout == "nhwc" else array


def as_taken(array: Array, spec: TensorSpec) -> Array:
    """An input in the layout and the element type of the file.

    Raises `ValueError` if the element type cannot hold one of its numbers.
    """
    laid_out = to_layout(array, spec)
    converted = laid_out.astype(spec.dtype, copy=False)
    if not np.array_equal(converted, laid_out, equal_nan=converted.dtype.kind == "f"):
        raise ValueError(
            f"input {spec.name} holds numbers that its type in the file, {spec.dtype}, cannot hold"
        )
    return converted


def from_layout(array: Array, spec: TensorSpec) -> Array:
    """An image array of the file as (..., C, H, W); any other array unchanged. The inverse of `to_layout`."""
    return np.ascontiguousarray(np.moveaxis(array, -1, -3)) if spec.layout == "nhwc" else array
