"""An ONNX file in ONNX Runtime. Works without torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import ModuleType
from typing import Any, NamedTuple

from mocovit_deploy.artifacts.artifact import Array, Artifact
from mocovit_deploy.errors import ConversionError, first_line
from mocovit_deploy.extras import needs_extra
from mocovit_deploy.quantization.recipes import recipe_named


def import_onnxruntime(module: str = "onnxruntime") -> ModuleType:
    """Import ONNX Runtime, or a module of it, with its telemetry off.

    With telemetry on, 1.31 and newer store an identifier and a queue of reports about the models they run.
    Raises `MissingToolError` if it is not installed.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    return needs_extra(module, "onnx")


class Opened(NamedTuple):
    """A file in ONNX Runtime."""

    session: Any
    """The `InferenceSession`."""
    runtime: str
    """The name and version of the runtime."""


def session(model: str | bytes, named: object) -> Opened:
    """Open a file on ONNX Runtime's CPU provider.

    `model` is a path or the file's bytes. Raises `ConversionError`, with `named` for the file, if ONNX
    Runtime cannot load it.
    """
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    runtime = f"onnxruntime {onnxruntime.__version__}"
    try:
        found = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ConversionError(f"{named}: {runtime} cannot load it: {first_line(error)}") from error
    return Opened(found, runtime)


class OnnxRuntime:
    """A session, called with named arrays."""

    arithmetic = "fp32"
    """The CPU provider widens fp16 to fp32."""

    def __init__(self, session: Any, runtime: str) -> None:
        self._session, self.runtime = session, runtime
        self._outputs = [output.name for output in session.get_outputs()]

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return dict(zip(self._outputs, self._session.run(None, dict(inputs)), strict=True))


def load(artifact: Artifact) -> OnnxRuntime:
    """The file in ONNX Runtime. Works without torch."""
    found = OnnxRuntime(*session(str(artifact.path), artifact.path))
    found.arithmetic = arithmetic_of(artifact.recipe)
    return found


def arithmetic_of(recipe: str) -> str:
    """The arithmetic of the CPU provider: int8 for recipes with int8 activations, fp32 for all others."""
    return "int8" if recipe_named(recipe).is_static else "fp32"


def load_platform(_artifact: Artifact) -> None:
    """None: no platform has an ONNX runtime of its own."""
