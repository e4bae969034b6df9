"""A TFLite file as a `Predictor` in half precision, on any machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exporters.tflite.reference.delegate import arithmetics, lost_constants
from exporters.tflite.reference.execute import execute, half_share, without_semantics
from exporters.tflite.reference.program import Program, read_program
from mocovit_deploy.artifacts.artifact import Array, Artifact
from mocovit_deploy.errors import ParityError

RUNTIME = "numpy reference of XNNPACK's half kernels"


@dataclass(frozen=True)
class HalfReference:
    """Calls `execute`; each step computes in what XNNPACK would use for it."""

    program: Program
    steps: tuple[str, ...]
    """The arithmetic of each step."""
    arithmetic: str
    runtime: str = RUNTIME

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return execute(self.program, inputs, self.steps)


def load_reference(artifact: Artifact) -> HalfReference:
    """The file in half precision with numpy. Needs ai-edge-litert (its tables), not torch.

    Raises `ParityError` before anything runs: naming the operators that have no semantics here, and those
    whose fp16 result XNNPACK leaves undefined.
    """
    program = read_program(artifact.path)
    if missing := without_semantics(program):
        raise ParityError(f"not run, no reference semantics for {', '.join(missing)}")
    if lost := lost_constants(program):
        raise ParityError(
            f"a sum times a constant is undefined in XNNPACK's fp16 (output {lost[0]}); write it as a mean"
        )
    steps = arithmetics(program)
    share = half_share(program, steps)
    return HalfReference(program, steps, "fp16" if share >= 0.99 else "mixed" if share else "fp32")
