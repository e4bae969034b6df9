"""A TFLite file as a `Predictor` in half precision, on any machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exporters.tflite.reference.delegate import FP16, FP32, arithmetics, lost_constants
from exporters.tflite.reference.execute import execute, macs_in_half, without_semantics
from exporters.tflite.reference.program import Program, read_program
from mocovit_deploy.artifacts.artifact import Array, Artifact
from mocovit_deploy.errors import ParityError
from mocovit_deploy.parity.tolerance import MIXED, NEARLY_ALL

RUNTIME = "numpy reference of XNNPACK's half kernels"


@dataclass
class HalfReference:
    """Runs a program with `execute`, each step in the arithmetic that XNNPACK would use for it."""

    program: Program
    steps: tuple[str, ...]
    """The arithmetic of each step."""
    arithmetic: str
    macs: int
    runtime: str = RUNTIME

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs by name.

        Raises `ParityError` before anything runs for operators without semantics here (all named), and for an
        output that XNNPACK leaves undefined in fp16.
        """
        require_executable(self.program)
        return execute(self.program, inputs, self.steps)


def load_half(artifact: Artifact) -> HalfReference:
    """The file in half precision with numpy. Needs ai-edge-litert (to read the tables), not torch.

    Raises `ConversionError` for a file that is not TFLite.
    """
    program = read_program(artifact.path)
    steps = arithmetics(program)
    macs = macs_in_half(program, steps)
    arithmetic = FP32 if FP16 not in steps else MIXED
    if macs.in_half and macs.in_half >= NEARLY_ALL * macs.total:
        arithmetic = FP16
    return HalfReference(program, steps, arithmetic, macs.total)


def require_executable(program: Program) -> None:
    """Raise `ParityError` if the program cannot be executed here, or has undefined results in fp16."""
    if missing := without_semantics(program):
        raise ParityError(f"no reference semantics for {', '.join(missing)}")
    if lost := lost_constants(program):
        raise ParityError(
            f"a sum times a constant is undefined in XNNPACK's fp16 (output {lost[0]}); write it as a mean"
        )
