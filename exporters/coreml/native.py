"""A saved Core ML file in Core ML itself, through `MLModel.predict`: macOS only.

Written from coremltools' documentation, and never run: it was developed without a Mac (docs/coreml.md).
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

import numpy as np

from exporters.coreml.classifier import LABEL, PROBABILITIES
from exporters.coreml.images import is_image, picture
from exporters.coreml.toolchain import coremltools, quiet_coremltools
from mocovit_deploy.artifacts.artifact import Array, Artifact
from mocovit_deploy.errors import MissingToolError, ParityError, unknown_choice
from mocovit_deploy.quantization.recipes import recipe_named

NO_TENSORS = (LABEL, PROBABILITIES)
COMPUTE_UNITS = ("CPU_ONLY", "CPU_AND_GPU", "CPU_AND_NE", "ALL")


class NativePredictor:
    """Core ML with a fixed choice of processors.

    `arithmetic` is what the file asks for; Core ML is free to compute parts of a float16 file in float32.
    """

    def __init__(self, model: Any, runtime: str, arithmetic: str, pictures: Mapping[str, bool]) -> None:
        self._model = model
        self._pictures = pictures
        self.runtime = runtime
        self.arithmetic = arithmetic

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        try:
            outputs = self._model.predict({name: self._taken(name, a) for name, a in inputs.items()})
        except (RuntimeError, TypeError, ValueError) as error:
            raise ParityError(f"Core ML failed to run the file: {error}") from error
        return {name: np.asarray(array) for name, array in outputs.items() if name not in NO_TENSORS}

    def _taken(self, name: str, array: Array) -> Any:
        if name in self._pictures:
            return picture(array, reverses=self._pictures[name])
        return np.ascontiguousarray(array)


def load_native(artifact: Artifact, compute_units: str) -> NativePredictor:
    """Load the file into Core ML on this Mac, with `compute_units` one of `COMPUTE_UNITS`.

    Raises `MissingToolError` on any system but macOS, `UsageError` for an unknown `compute_units`,
    `ParityError` if Core ML refuses the file.
    """
    if compute_units not in COMPUTE_UNITS:
        raise unknown_choice("compute unit", compute_units, COMPUTE_UNITS)
    if platform.system() != "Darwin":
        raise MissingToolError("Core ML runs on macOS only; here, use the numpy reference (load)")
    ct = coremltools()
    try:
        with quiet_coremltools():
            model = ct.models.MLModel(str(artifact.path), compute_units=ct.ComputeUnit[compute_units])
    except (OSError, RuntimeError, ValueError) as error:
        raise ParityError(f"{artifact.path}: Core ML does not load it ({error})") from error
    runtime = f"Core ML of macOS {platform.mac_ver()[0]}, {compute_units}"
    reverses = artifact.preprocessing.colour_order == "BGR"
    pictures = {spec.name: reverses for spec in artifact.inputs if is_image(spec)}
    known = recipe_named(artifact.recipe)
    arithmetic = "int8" if known.is_static else known.islands
    arithmetic += " and fp16" if known.is_static and known.islands == "fp16" else ""
    return NativePredictor(model, runtime, arithmetic, pictures)
