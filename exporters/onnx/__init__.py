"""ONNX: torch's exporter writes, onnxsim simplifies, ONNX Runtime runs.

write      export(): the file of a captured graph
run        load(): a file in ONNX Runtime
quantize   weights, or weights and values, in int8
half       load_half(): a file in half precision, with numpy
suppress   write_suppressed(): a detector with suppression in its file
taps       a file's marked values, and runs that return or replace them
metadata   describe(): the description in a file
contents   operators(): the operators of a file, read without running it
"""

from __future__ import annotations

from exporters.onnx.contents import operators
from exporters.onnx.half import load_half
from exporters.onnx.metadata import describe
from exporters.onnx.run import load, load_platform
from exporters.onnx.suppress import BEST_CLASS_ALONE, load_suppressed, write_suppressed, write_suppression
from exporters.onnx.taps import load_inside, values
from exporters.onnx.write import export, refuse_impossible
from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.readiness import Readiness
from mocovit_deploy.passes import HALF_REWRITES

SUFFIX = ".onnx"
RECIPES: tuple[str, ...] = ("fp32", "fp16", "static_wi8_ai8", "weight_only_wi8_afp32")
FREE_BATCH = True

__all__ = [
    "BEST_CLASS_ALONE",
    "FREE_BATCH",
    "RECIPES",
    "SUFFIX",
    "describe",
    "export",
    "load",
    "load_half",
    "load_inside",
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


def readiness(_artifact: Artifact) -> tuple[Readiness, ...]:
    """No delegate is known for ONNX files."""
    return ()


def lowerings(recipe: str) -> tuple[str, ...]:
    """For fp16: the rewrites that keep linear attention within the range of half precision."""
    return HALF_REWRITES if recipe == "fp16" else ()


def uncertain(_recipe: str) -> tuple[str, ...]:
    """None: every rewrite of these files keeps the accuracy."""
    return ()
