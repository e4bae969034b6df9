"""ONNX: torch's exporter writes, onnxsim simplifies, ONNX Runtime runs.

write.py    export(): the file of a captured graph
run.py      load(): a file in ONNX Runtime
inside.py   a file's marked values, and runs that return or replace them
"""

from __future__ import annotations

from exporters.onnx.run import load, load_platform
from exporters.onnx.taps import load_inside, values
from exporters.onnx.write import export, refuse_impossible

SUFFIX = ".onnx"
RECIPES: tuple[str, ...] = ("fp32", "fp16")
FREE_BATCH = True

__all__ = [
    "FREE_BATCH",
    "RECIPES",
    "SUFFIX",
    "export",
    "load",
    "load_inside",
    "load_platform",
    "refuse_impossible",
    "values",
]
