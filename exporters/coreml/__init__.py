"""Core ML: write an `.mlpackage` from a captured graph, and run a saved one on any system.

write      write_package(): coremltools.convert, float32 or float16
compress   weights in int8, or in 6 bits with a palette
activations  int8 activations, as pairs of quantize and dequantize
interface  the inputs, outputs and systems that files can have
images     inputs that an app passes as pictures
classifier class labels, which Vision shows
fp16       values that do not fit into fp16 and stay in float32
read       the saved file as plain data (program)
metadata   describe(): the description in a file
contents   operators(): the operations of a file
neural_engine  readiness(): what keeps a file off the Neural Engine
execute    that program in numpy, operation by operation (semantics/)
run        load(): the two together
suppress   write_suppressed(): a detector as a pipeline that ends in suppression
taps       a file's marked values, and runs that return or replace them
native     load_native(): Core ML itself, on macOS
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from exporters.coreml.contents import operators
from exporters.coreml.execute import NotExecutable
from exporters.coreml.interface import in_file, refuse_target
from exporters.coreml.metadata import describe
from exporters.coreml.native import NativePredictor, load_native
from exporters.coreml.neural_engine import readiness
from exporters.coreml.run import load
from exporters.coreml.suppress import BEST_CLASS_ALONE, load_suppressed, write_suppressed, write_suppression
from exporters.coreml.taps import load_inside, values
from exporters.coreml.write import PRECISIONS, write_package
from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.formats import ExportJob, Written
from mocovit_deploy.passes import HALF_REWRITES
from mocovit_deploy.quantization.recipes import recipe_named
from mocovit_deploy.spec import ExportRequest

if TYPE_CHECKING:
    from torch import Tensor, fx

SUFFIX = ".mlpackage"
RECIPES: tuple[str, ...] = tuple(PRECISIONS)
FREE_BATCH = False
"""The batch of a file is fixed."""

__all__ = [
    "BEST_CLASS_ALONE",
    "FREE_BATCH",
    "RECIPES",
    "SUFFIX",
    "NotExecutable",
    "describe",
    "export",
    "load",
    "load_half",
    "load_inside",
    "load_native",
    "load_platform",
    "load_suppressed",
    "lowerings",
    "operators",
    "readiness",
    "refuse_impossible",
    "uncertain",
    "values",
    "write_suppressed",
    "write_suppression",
]


def export(graph: fx.GraphModule, example: Sequence[Tensor], job: ExportJob) -> Written:
    """Write `graph` as an ML program; see `write_package` for what it raises."""
    inputs, outputs = in_file(job.inputs, job.colour_order), in_file(job.outputs)
    written = write_package(
        graph,
        example,
        job.path,
        recipe=job.recipe,
        inputs=inputs,
        outputs=outputs,
        minimum_deployment_target=job.minimum_deployment_target,
        colour_order=job.colour_order,
        scheme=job.scheme,
        labels=job.labels,
    )
    tools = {name: version(name) for name in ("torch", "coremltools")}
    known = recipe_named(job.recipe)
    said: dict[str, Any] | None = {"recipe": known.meaning} if known.quantizes else None
    if said is not None and known.is_static and job.scheme is not None:
        said |= {**job.scheme.as_json(), "operators": {"int8": dict(written.int8_operations)}}
    return Written(inputs=inputs, outputs=outputs, tools=tools, notes=written.notes, quantization=said)


def lowerings(recipe: str) -> tuple[str, ...]:
    """Bicubic resizing as products; for fp16 also what keeps linear attention within its range."""
    half = HALF_REWRITES if recipe_named(recipe).islands == "fp16" else ()
    return (*half, "exporters.coreml.lowering.bicubic_by_products")


def uncertain(_recipe: str) -> tuple[str, ...]:
    """None: every rewrite of these files keeps the accuracy."""
    return ()


def refuse_impossible(request: ExportRequest) -> None:
    """`UsageError` for a deployment target that does not exist, or has no ML programs."""
    refuse_target(request.minimum_deployment_target)


def load_half(_artifact: Artifact) -> None:
    """None: `load` itself computes in half precision where the file declares it."""


def load_platform(artifact: Artifact) -> NativePredictor | None:
    """Core ML itself on macOS, beside the numpy reference."""
    return load_native(artifact, "CPU_ONLY") if sys.platform == "darwin" else None
