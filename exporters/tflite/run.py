"""A TFLite file in the installed runtime. Works without torch."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from exporters.tflite.fp16 import allows_half, without_half
from mocovit_deploy.artifacts.artifact import Array, Artifact
from mocovit_deploy.errors import ConversionError, MissingToolError, first_line

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")


class LiteRT:
    """A TFLite file in LiteRT's interpreter, which hands what it can to XNNPACK."""

    def __init__(self, artifact: Artifact) -> None:
        interpreter_class, self.runtime = interpreter()
        try:
            self._interpreter = interpreter_class(model_path=str(artifact.path))
            self._interpreter.allocate_tensors()
            self._run = self._interpreter.get_signature_runner()
            self.arithmetic = arithmetic_of(artifact.path, interpreter_class, self._interpreter)
        except (ValueError, RuntimeError) as error:
            raise ConversionError(
                f"{artifact.path}: {self.runtime} cannot load it: {first_line(error)}"
            ) from error

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return dict(self._run(**inputs))


def arithmetic_of(path: Path, interpreter_class: Any, opened: Any) -> str:
    """The arithmetic of this runtime for this file: "fp32", "fp16", "int8", or "int8 and fp16".

    int8 if an operator with weights reads int8 weights. fp16 if the outputs change when the fp16 mark is
    removed: XNNPACK heeds the mark only on processors with half-precision arithmetic, and does not report
    whether it did. `opened` is the file in an interpreter.
    """
    floats = float_arithmetic(path, interpreter_class)
    if not _reads_int8(opened):
        return floats
    return "int8 and fp16" if floats == "fp16" else "int8"


def _reads_int8(opened: Any) -> bool:
    """True if an operator with weights reads int8 weights."""
    dtypes = {one["index"]: one["dtype"] for one in opened.get_tensor_details()}
    return any(
        dtypes.get(int(index)) is np.int8
        for operator in opened._get_ops_details()
        if operator["op_name"] in WEIGHTED
        for index in operator["inputs"][1:2]
    )


def float_arithmetic(path: Path, interpreter_class: Any) -> str:
    """The arithmetic of float operators: "fp16" if the outputs depend on the fp16 mark, else "fp32"."""
    marked = path.read_bytes()
    if not allows_half(marked):
        return "fp32"
    with_mark, without = (probe(interpreter_class, data) for data in (marked, without_half(marked)))
    same = all(np.array_equal(a, b) for a, b in zip(with_mark, without, strict=True))
    return "fp32" if same else "fp16"


def probe(interpreter_class: Any, data: bytes) -> list[Array]:
    """The outputs of a file for seeded random inputs. Integer inputs are 0, as they may be indices."""
    generator = np.random.default_rng(0)
    interpreter = interpreter_class(model_content=data)
    interpreter.allocate_tensors()
    for details in interpreter.get_input_details():
        whole = np.issubdtype(details["dtype"], np.integer)
        values = np.zeros(details["shape"]) if whole else generator.standard_normal(details["shape"])
        interpreter.set_tensor(details["index"], values.astype(details["dtype"]))
    interpreter.invoke()
    return [interpreter.get_tensor(details["index"]) for details in interpreter.get_output_details()]


class Installed(NamedTuple):
    """An installed TFLite runtime."""

    interpreter_class: Any
    runtime: str
    """The name and version of its package."""


def interpreter() -> Installed:
    """The installed runtime: ai-edge-litert, else tflite-runtime.

    Raises `MissingToolError` if neither is installed.
    """
    from importlib.metadata import version

    for module, package in (("ai_edge_litert", "ai-edge-litert"), ("tflite_runtime", "tflite-runtime")):
        try:
            found = importlib.import_module(f"{module}.interpreter")
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
            continue
        return Installed(found.Interpreter, f"{package} {version(package)}")
    raise MissingToolError("no TFLite runtime is installed; run: pip install ai-edge-litert")


def load(artifact: Artifact) -> LiteRT:
    """The file in LiteRT, or in tflite-runtime if only that is installed. Works without torch.

    Raises `ConversionError` if the runtime cannot load the file, `MissingToolError` if there is no runtime.
    """
    return LiteRT(artifact)


def load_platform(_artifact: Artifact) -> None:
    """None: LiteRT is the runtime on every platform."""
