"""What a format is: a module in `exporters/`, what it is asked to write, and what it gives back.

The contract tests hold every listed format to it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
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
    from mocovit_deploy.quantization.arithmetic import ArithmeticChoice
    from mocovit_deploy.quantization.scheme import Scheme
    from mocovit_deploy.ship.metadata import FileMetadata
    from mocovit_deploy.spec import ExportRequest, TensorSpec


@dataclass(frozen=True)
class ExportJob:
    """What one exporter is asked to write. Shapes and layouts are the network's own, as PyTorch has them."""

    path: Path
    """Written exactly here; the caller has staged it and renames it when it is proven."""
    recipe: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    layout: str
    """"nhwc" or "nchw": how images lie in the file, if the format leaves a choice."""
    opset: int
    simplify: bool
    dynamic_batch: bool
    minimum_deployment_target: str
    """The oldest system a Core ML file must run on, as in "iOS16"."""
    colour_order: str = ""
    """"RGB" or "BGR", of the image; empty if the network takes something else."""
    converter: str = ""
    """Of `CONVERTERS`, the one that must write a TFLite file; empty for the format's own choice."""
    labels: tuple[str, ...] = ()
    """Names of the classes, for formats that answer with them; empty if none were given."""
    scheme: Scheme | None = None
    """How the graph is quantized, for recipes that quantize it; None for the others."""
    arithmetic: ArithmeticChoice | None = None
    """How a mixed file's operators are divided; None for the format's usual division."""
    estimate: bool = False
    """Say in `Written.instructions` what one inference is estimated to take, if the format can."""


@dataclass(frozen=True)
class Written:
    """What an exporter wrote: the tensors as the file has them, and what made it."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    tools: Mapping[str, str]
    notes: tuple[str, ...] = ()
    """What users of this file must know, a sentence each."""
    quantization: Mapping[str, Any] | None = None
    """How a quantized file was made, as its manifest says it; None for any other."""
    execution: Mapping[str, Any] | None = None
    """How a runtime will share the file's operators, as its manifest says it; None if that is not known."""
    instructions: float | None = None
    """What one inference is estimated to take; None if that was not asked for, or the format cannot tell."""


class Predictor(Protocol):
    """A file loaded into a runtime: call it with named arrays, get named arrays."""

    runtime: str
    """The runtime and its version, as in "onnxruntime 1.31.1"."""
    arithmetic: str
    """The arithmetic this runtime really uses for this file here: "fp32", "fp16", "mixed", "int8" or
    "int8 and fp16".
    """

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """One run. `inputs` by the names, shapes, types and layouts of `Artifact.inputs`; the outputs by the
        names of `Artifact.outputs`.

        May raise anything the runtime raises; callers in `parity` make a `ParityError` of it.
        """
        ...


class HalfPredictor(Predictor, Protocol):
    """A file in half precision."""

    macs: int
    """Multiply-accumulates of one run, which decide how many samples are affordable."""


class Format(Protocol):
    """A module in `exporters/`. Everything but `export` works without torch.

    Every function raises `MissingToolError` if a package it needs is not installed.
    """

    SUFFIX: str
    """Of its files, with the dot."""
    RECIPES: tuple[str, ...]
    """The words of `--precision` that it writes; the first is the plainest."""
    FREE_BATCH: bool
    """Whether its files can leave the batch to the caller."""

    def refuse_impossible(self, request: ExportRequest) -> None:
        """Raise `UsageError` for what of a request no file of this format can have, before any work."""
        ...

    def lowerings(self, recipe: str) -> Sequence[str]:
        """Modules of the rewrites that files of `recipe` get after the passes, in order.

        Each holds a function of the module's own name (`passes.run.rewrite`), which is proven as passes are;
        `--without` leaves it out by that name.
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
        """Write what the file says of itself, in place of what it said; nothing that it computes changes.

        `inputs` and `outputs` are the file's, in its order. Raises `ConversionError` if anything else of the
        file would change.
        """
        ...

    def load(self, artifact: Artifact) -> Predictor:
        """The file in the runtime installed here.

        Raises `DeployError`, naming the file, if the runtime refuses it.
        """
        ...

    def load_platform(self, artifact: Artifact) -> Predictor | None:
        """The platform's own runtime; None unless it is another than `load`'s and this is that platform."""
        ...

    def load_half(self, artifact: Artifact) -> HalfPredictor | None:
        """The file in half precision on any machine; None if `load` itself computes as the file says.

        Raises `ConversionError` for a file that cannot be read. An operator without semantics is named by
        the `ParityError` of the call.
        """
        ...

    def operators(self, artifact: Artifact) -> tuple[FileOperator, ...]:
        """The operators of the file with the torch module each came from, in order; the file is not run.

        Raises `UsageError` for a file that is not of this format.
        """
        ...

    def readiness(self, artifact: Artifact) -> tuple[Readiness, ...]:
        """What each delegate for this format will leave out of the file, told without running it.

        Empty if no delegate is known. Raises `DeployError` for a file that is not of this format.
        """
        ...

    def values(self, artifact: Artifact) -> tuple[FileValue, ...]:
        """The marked values inside a file and its outputs, in the order they are computed.

        Raises `DeployError` for a file that is not of this format.
        """
        ...

    def load_inside(self, artifact: Artifact, names: Sequence[str], given: Sequence[str]) -> Predictor:
        """The file in its runtime, returning the values `names` too; both are names of `values`.

        An operator that reads a value in `given` reads what the caller passes under that name, not what the
        file computed; the computed value is still returned if `names` asks for it.
        """
        ...


def format_named(name: str) -> Format:
    """The module of a format. Raises `UsageError` with the known ones for any other name."""
    if name not in FORMATS:
        raise unknown_choice("format", name, FORMATS)
    return cast(Format, importlib.import_module(f"exporters.{name}"))
