"""A saved Core ML file as a `Predictor` that works on any system: the numpy reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exporters.coreml.execute import execute, require_executable
from exporters.coreml.program import Program
from exporters.coreml.read import read_program
from exporters.coreml.toolchain import coremltools
from mocovit_deploy.artifacts.artifact import Array, Artifact


@dataclass
class ReferencePredictor:
    """Runs a program with `execute`, whose docstring says what "fp32" and "fp16" mean."""

    program: Program
    runtime: str
    arithmetic: str
    """The arithmetic that the file declares: "fp32", "fp16", "int8" or "int8 and fp16"."""

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return execute(self.program, inputs, self.program.arithmetic)


def load(artifact: Artifact) -> ReferencePredictor:
    """Read the file, to run it with numpy in the arithmetic that it declares.

    Needs coremltools (to read), not torch. Raises `NotExecutable` if an operation has no reference semantics,
    `UsageError` if the file cannot be read, `MissingToolError` without coremltools.
    """
    program = read_program(artifact.path)
    require_executable(program)
    runtime = f"numpy reference of coremltools {coremltools().__version__} MIL"
    return ReferencePredictor(program, runtime, named_arithmetic(program))


def named_arithmetic(program: Program) -> str:
    """The name of a program's arithmetic in the table of tolerances; int8 if values are rounded to 8 bits."""
    if not program.is_int8:
        return program.arithmetic
    return "int8 and fp16" if program.arithmetic == "fp16" else "int8"
