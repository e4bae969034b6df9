"""The operators that the GPU delegate and XNNPACK leave out, found by reading the file.

a float file    the GPU delegate; XNNPACK in fp32; XNNPACK in fp16, which it uses if the file bears the mark
an int8 file    the GPU delegate; XNNPACK in int8
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from exporters.tflite.contents import module_of_output
from exporters.tflite.gpu import broken_rule
from exporters.tflite.quantized.support import TABLE, int8_support
from exporters.tflite.reference.delegate import WIDENED, arithmetics, why_outside
from exporters.tflite.reference.program import Program, Step, read_program
from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.readiness import Obstacle, Readiness

XNNPACK = "LiteRT, tflite/delegates/xnnpack/xnnpack_delegate.cc"
INT8 = f"each operator alone in LiteRT 2.3.0 ({TABLE.name})"
HALF = "counted on an emulated Cortex-A76 (docs/half.md)"
_BETWEEN = ("QUANTIZE", "DEQUANTIZE")
"""Conversions between int8 and float, which XNNPACK takes."""


def readiness(artifact: Artifact) -> tuple[Readiness, ...]:
    """See `mocovit_deploy.formats.Format`. Raises `ConversionError` for a file that is not TFLite."""
    program = read_program(artifact.path)
    gpu = _judged(program, "GPU delegate", lambda step: _off_gpu(program, step))
    if any(tensor.quantized and tensor.constant is None for tensor in program.tensors):
        return (gpu, _judged(program, "XNNPACK, int8", lambda step: _off_int8(program, step)))
    return (
        gpu,
        _judged(program, "XNNPACK, fp32", lambda step: _off_float(program, step)),
        replace(
            _judged(program, "XNNPACK, fp16", lambda step: _off_float(program, step)),
            remarks=_widened(program),
        ),
    )


_Why = Callable[[Step], tuple[str, str] | None]
"""The reason why an operator is outside and its source, or None."""


def _judged(program: Program, delegate: str, why: _Why) -> Readiness:
    outside = [_obstacle(program, step, *found) for step in program.steps if (found := why(step))]
    return Readiness(delegate=delegate, operators=len(program.steps), outside=tuple(outside))


def _off_gpu(program: Program, step: Step) -> tuple[str, str] | None:
    rule = broken_rule(program, step)
    return None if rule is None else (rule.why.replace("KIND", step.kind), rule.source)


def _off_float(program: Program, step: Step) -> tuple[str, str] | None:
    why = why_outside(program, step)
    return (why, XNNPACK) if why else None


def _off_int8(program: Program, step: Step) -> tuple[str, str] | None:
    outputs = [program.tensors[index] for index in step.outputs]
    if not any(one.quantized for one in outputs) or step.kind in _BETWEEN:
        return _off_float(program, step)
    if any(one.dtype not in ("int8", "uint8") for one in outputs):
        return f"XNNPACK's delegate takes no {outputs[0].dtype} tensors", XNNPACK
    return None if step.kind in int8_support() else (f"XNNPACK has no {step.kind} in int8", INT8)


def _widened(program: Program) -> tuple[Obstacle, ...]:
    """Operators that XNNPACK computes in fp32, for lack of an fp16 kernel, in a file with the fp16 mark."""
    computed = arithmetics(replace(program, marked=True))
    why = "computed in fp32 among operators in fp16"
    return tuple(
        _obstacle(program, step, why, HALF)
        for step, arithmetic in zip(program.steps, computed, strict=True)
        if arithmetic == WIDENED
    )


def _obstacle(program: Program, step: Step, why: str, source: str) -> Obstacle:
    where = module_of_output(program.tensors[step.outputs[0]].name, step.kind) if step.outputs else ""
    return Obstacle(kind=step.kind, where=where, why=why, source=source)
