"""What a format is: a module in `exporters/`, the job it is given, and the result it returns.

`tests/exporters/test_formats_contract.py` checks every listed format against these protocols.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from mocovit_deploy.choices import FORMATS
from mocovit_deploy.errors import unknown_choice

if TYPE_CHECKING:
    from torch import Tensor, fx

    from mocovit_deploy.artifacts.artifact import Array, Artifact
    from mocovit_deploy.artifacts.marks import FileValue
    from mocovit_deploy.artifacts.operator import FileOperator
    from mocovit_deploy.artifacts.readiness import Readiness
    from mocovit_deploy.boxes.decode import Detection, Limits
    from mocovit_deploy.quantization.arithmetic import ArithmeticChoice
    from mocovit_deploy.quantization.scheme import Scheme
    from mocovit_deploy.ship.metadata import FileMetadata
    from mocovit_deploy.spec import ExportRequest, TensorSpec


@dataclass(frozen=True)
class ExportJob:
    """What one exporter is asked to write. Shapes and layouts are the network's own, as PyTorch has them."""

    path: Path
    """The file to write, exactly here. It lies in a staging folder; the caller moves it when it is proven."""
    recipe: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    layout: str
    """"nhwc" or "nchw": the layout of images in the file, if the format offers both."""
    opset: int
    simplify: bool
    dynamic_batch: bool
    minimum_deployment_target: str
    """The oldest system a Core ML file must run on, as in "iOS16"."""
    colour_order: str = ""
    """The image's colour order, "RGB" or "BGR"; empty if the network does not take an image."""
    converter: str = ""
    """The one of `CONVERTERS` that must write a TFLite file; empty for the format's own choice."""
    labels: tuple[str, ...] = ()
    """Names of the classes, for formats whose files return them; empty if none were given."""
    scheme: Scheme | None = None
    """How the graph is quantized, for recipes that quantize it; None for the others."""
    arithmetic: ArithmeticChoice | None = None
    """How a mixed file's operators are divided; None for the format's usual division."""
    estimate: bool = False
    """Whether to fill in `Written.instructions`, if the format can estimate it."""


@dataclass(frozen=True)
class Written:
    """The result of `Format.export`: the tensors as the file has them, and the tools that made it."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    tools: Mapping[str, str]
    notes: tuple[str, ...] = ()
    """What users of this file must know, one sentence each."""
    quantization: Mapping[str, Any] | None = None
    """How a quantized file was made, for its manifest; None for any other file."""
    execution: Mapping[str, Any] | None = None
    """How a runtime will divide the file's operators, for its manifest; None if that is not known."""
    instructions: float | None = None
    """Instructions that one inference is estimated to take; None if that was not asked for, or the format
    cannot tell.
    """


class Predictor(Protocol):
    """A file loaded into a runtime: call it with named arrays, get named arrays."""

    runtime: str
    """The runtime and its version, as in "onnxruntime 1.31.1"."""
    arithmetic: str
    """The arithmetic that this runtime uses for this file on this machine: "fp32", "fp16", "mixed", "int8" or
    "int8 and fp16".
    """

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the file once.

        `inputs` have the names, shapes, types and layouts of `Artifact.inputs`; the result has the names of
        `Artifact.outputs`. May raise anything that the runtime raises; `parity` turns it into a
        `ParityError`.
        """
        ...


class HalfPredictor(Predictor, Protocol):
    """A file in half precision."""

    macs: int
    """Multiply-accumulates of one run. They decide how many samples are run (`parity.half`)."""


class Format(Protocol):
    """A module in `exporters/`. Everything but `export` works without torch.

    Every function raises `MissingToolError` if a package it needs is not installed.
    """

    SUFFIX: str
    """The suffix of its files, with the dot."""
    RECIPES: tuple[str, ...]
    """The values of `--precision` that it writes; the first is the plainest."""
    FREE_BATCH: bool
    """Whether its files can leave the batch to the caller."""

    def refuse_impossible(self, request: ExportRequest) -> None:
        """Raise `UsageError`, before any work, if no file of this format can be what the request asks for."""
        ...

    def lowerings(self, recipe: str) -> Sequence[str]:
        """Names of the modules that rewrite the graph for files of `recipe` after the passes, in order.

        Each holds a function of the module's own name (`passes.run.rewrite`), which is proven as passes are;
        `--without` leaves it out by that name.
        """
        ...

    def uncertain(self, recipe: str) -> Sequence[str]:
        """Names of the functions among `lowerings` that may cost too much accuracy.

        If a file fails with them, or cannot be judged in its arithmetic, it is written without.
        """
        ...

    def export(self, graph: fx.GraphModule, example: Sequence[Tensor], job: ExportJob) -> Written:
        """Write the flat, re-parameterized `graph` to `job.path`.

        `example` holds the inputs of one run as `job.inputs` describes them, images (N, C, H, W); the file
        may take images in another layout and says so in `Written.inputs`. Every operation carries its mark
        (`artifacts.marks`) into the file. Nothing but `job.path` is left behind.

        Raises `ConversionError` for a graph that cannot be written, naming the operation and its module.
        """
        ...

    def describe(
        self, path: Path, metadata: FileMetadata, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]
    ) -> None:
        """Replace the file's own metadata by `metadata`; nothing that the file computes changes.

        `inputs` and `outputs` are the file's, in its order. Raises `ConversionError` if anything but the
        metadata would change.
        """
        ...

    def load(self, artifact: Artifact) -> Predictor:
        """The file in the runtime installed here.

        Raises `DeployError`, naming the file, if the runtime refuses it.
        """
        ...

    def load_platform(self, artifact: Artifact) -> Predictor | None:
        """The file in the platform's own runtime, as Apple's for Core ML on a Mac.

        None if this machine is not that platform, or if `load` already uses that runtime.
        """
        ...

    def load_half(self, artifact: Artifact) -> HalfPredictor | None:
        """The file in half precision on any machine; None if `load` itself computes in the file's arithmetic.

        Raises `ConversionError` for a file that cannot be read. Calling the predictor raises a `ParityError`
        that names an operator without semantics.
        """
        ...

    def operators(self, artifact: Artifact) -> tuple[FileOperator, ...]:
        """The operators of the file in order, each with the torch module it came from. The file is not run.

        Raises `UsageError` for a file that is not of this format.
        """
        ...

    def readiness(self, artifact: Artifact) -> tuple[Readiness, ...]:
        """The operators that each delegate for this format will leave to the CPU. The file is not run.

        Empty if no delegate is known. Raises `DeployError` for a file that is not of this format.
        """
        ...

    def values(self, artifact: Artifact) -> tuple[FileValue, ...]:
        """The marked values inside a file and its outputs, in the order they are computed.

        Raises `DeployError` for a file that is not of this format.
        """
        ...

    def load_inside(self, artifact: Artifact, names: Sequence[str], given: Sequence[str]) -> Predictor:
        """The file in its runtime, with the values `names` as further outputs and `given` as further inputs.

        Both hold names from `values`. An operator that reads a value in `given` reads the array that the
        caller passes under that name instead of the computed one. The computed value is still returned if it
        is in `names`.
        """
        ...


class SuppressingFormat(Format, Protocol):
    """A format whose files can suppress a detector's boxes by an operator of its own.

    `artifact` is a detector with raw outputs and batch 1 (`boxes/decode.py`).
    """

    BEST_CLASS_ALONE: bool
    """Whether its operator gives an anchor only its best class."""

    def write_suppressed(
        self, artifact: Artifact, path: Path, labels: Sequence[str], limits: Limits
    ) -> tuple[TensorSpec, ...]:
        """Write the artifact's file to `path` with suppression behind it; returns the outputs it then has."""
        ...

    def write_suppression(self, artifact: Artifact, path: Path, limits: Limits) -> None:
        """Write to `path` only what `write_suppressed` adds; its inputs are the artifact's outputs."""
        ...

    def load_suppressed(
        self, path: Path, inputs: Sequence[TensorSpec]
    ) -> Callable[[Mapping[str, Array]], tuple[Detection, ...]]:
        """A file that one of these two wrote: from named inputs to the objects that it finds."""
        ...


def format_named(name: str) -> Format:
    """The module of a format. Raises `UsageError` with the known ones for any other name."""
    if name not in FORMATS:
        raise unknown_choice("format", name, FORMATS)
    return cast(Format, importlib.import_module(f"exporters.{name}"))
