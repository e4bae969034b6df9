"""What a format is: a module in `exporters/`, what it is asked to write, and what it gives back.

The contract tests hold every listed format to it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from mocovit_deploy.artifacts.artifact import Array, Artifact
from mocovit_deploy.artifacts.marks import FileValue
from mocovit_deploy.errors import unknown_choice
from mocovit_deploy.ship.metadata import FileMetadata
from mocovit_deploy.spec import ExportRequest, TensorSpec

FORMATS = ("onnx", "coreml", "tflite")
"""Names of the modules in `exporters/`, in the order files are written."""


@dataclass(frozen=True)
class ExportJob:
    """What one exporter is asked to write. Shapes and layouts are the network's own, as PyTorch has them."""

    path: Path
    """Written exactly here; whoever asks has staged it and renames it when it is proven."""
    recipe: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    layout: str
    """"nhwc" or "nchw": what images in the file look like, where the format leaves a choice."""
    opset: int
    simplify: bool
    dynamic_batch: bool
    minimum_deployment_target: str
    """The oldest system a Core ML file must run on, as in "iOS16"."""
    converter: str = ""
    """Of `CONVERTERS`, the one that must write a TFLite file; empty for the format's own choice."""


@dataclass(frozen=True)
class Written:
    """What an exporter wrote: the tensors as the file has them, and what made it."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    tools: Mapping[str, str]
    notes: tuple[str, ...] = ()
    """What whoever uses this file should know, a sentence each."""


class Format(Protocol):
    """A module in `exporters/`."""

    SUFFIX: str
    RECIPES: tuple[str, ...]
    FREE_BATCH: bool
    """Can its files leave the batch to the caller?"""

    def refuse_impossible(self, request: ExportRequest) -> None:
        """Raise `UsageError` for what of a request no file of this format can have, before any work."""
        ...

    def export(self, graph: Any, example: Any, job: ExportJob) -> Written: ...

    def describe(
        self, path: Path, metadata: FileMetadata, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]
    ) -> None:
        """Write what the file says of itself, in place of what it said; nothing that it computes changes.

        `inputs` and `outputs` are the file's, in its order. Raises `ConversionError` if anything else of the
        file would change.
        """
        ...

    def load(self, artifact: Artifact) -> Predictor: ...

    def load_platform(self, artifact: Artifact) -> Predictor | None:
        """The platform's own runtime, where it is another than `load`'s and this is that platform."""
        ...

    def values(self, artifact: Artifact) -> tuple[FileValue, ...]:
        """The marked values inside a file and its outputs, in the order they are computed."""
        ...

    def load_inside(self, artifact: Artifact, names: Sequence[str], given: Sequence[str]) -> Predictor:
        """The file in its runtime, returning the values `names` too.

        Whatever reads a value in `given` reads what the caller passes under that name, not what the file
        computed; the computed value is still returned where `names` asks for it.
        """
        ...


class Predictor(Protocol):
    """A file loaded into a runtime: call it with named arrays, get named arrays."""

    runtime: str
    """The runtime and its version, as in "onnxruntime 1.31.1"."""
    arithmetic: str
    """The arithmetic this runtime really uses for this file on this machine: "fp32", "fp16", "int8"."""

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]: ...


def format_named(name: str) -> Format:
    """The module of a format. Raises `UsageError` with the known ones for any other name."""
    if name not in FORMATS:
        raise unknown_choice("format", name, FORMATS)
    return cast(Format, importlib.import_module(f"exporters.{name}"))
