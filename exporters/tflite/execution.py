"""The operators of a file that XNNPACK takes, and those that it leaves to TFLite's own kernels.

    CONV_2D   ADD    CUMSUM    MUL   ADD          2 partitions; CUMSUM is outside: XNNPACK has no kernel
    |---- 0 ----|              |--- 1 --|

Each border of a partition costs a call between the two, and a conversion on cores that compute in fp16.
"""

from __future__ import annotations

from typing import Any

from exporters.tflite.contents import module_of_output
from exporters.tflite.reference.delegate import delegate_pieces, why_outside
from exporters.tflite.reference.program import Program, Step

MOVES = "TRANSPOSE"


def execution_of(program: Program) -> dict[str, Any]:
    """The manifest's entry: numbers of partitions, operators and transposes, and the operators outside.

    Each operator outside has its kind, its torch module ("where") and the reason ("why").
    """
    pieces = delegate_pieces(program)
    outside = [step for step, piece in zip(program.steps, pieces, strict=True) if piece is None]
    return {
        "delegate": "XNNPACK",
        "partitions": len({*pieces} - {None}),
        "operators": len(program.steps),
        "transposes": sum(step.kind == MOVES for step in program.steps),
        "outside": [
            {
                "kind": step.kind,
                "where": _module(program, step),
                "why": why_outside(program, step) or "it waits for an operator that is outside",
            }
            for step in outside
        ],
    }


def _module(program: Program, step: Step) -> str:
    return module_of_output(program.tensors[step.outputs[0]].name, step.kind) if step.outputs else ""
