"""What keeps an operation off the Neural Engine, and what makes it slow there: rules with their sources.

Core ML decides on the device where each operation runs, and cannot be asked beforehand. A program that breaks
no rule may still run on the CPU, as small ones often do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from exporters.coreml.program import Operation, Program
from exporters.coreml.read import read_program
from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.operator import ROOT_MODULE
from mocovit_deploy.artifacts.readiness import Obstacle, Readiness

APPLE = "apple/coreai-models, model-authoring/references/neural_engine_rules.md"
ENGINE = "ane-guide.readthedocs.io, chapter 4, capability surface"
LAYERS = "hollance/neural-engine, docs/unsupported-layers.md"
LANE_BYTES = 64
"""The fewest bytes that a row of the last axis occupies."""
_BYTES = {"fp16": 2, "int8": 1, "uint8": 1, "int16": 2}
_RECURRENT = ("gru", "lstm", "rnn")
_NO_HARDWARE = ("reduce_prod", "scatter", "scatter_along_axis", "scatter_nd")


@dataclass(frozen=True)
class Rule:
    """A condition that no operation may meet."""

    broken: Callable[[Program, Operation], bool]
    why: str
    """"KIND" stands for the operation's kind."""
    source: str


def _dtypes(operation: Operation) -> set[str]:
    return {value.dtype for value in operation.outputs}


def _constant_axis(program: Program, operation: Operation) -> int | None:
    """The axis of a softmax, counted from the front; None if it is no constant of the program."""
    name = operation.operands.get("axis", "")
    axis = program.constants.get(name) if isinstance(name, str) else None
    if axis is None:
        return None
    number, rank = int(np.asarray(axis)), len(operation.outputs[0].shape)
    return number + rank if number < 0 else number


def _softmax_elsewhere(program: Program, operation: Operation) -> bool:
    return operation.kind == "softmax" and _constant_axis(program, operation) not in (None, 1)


def _narrow(_program: Program, operation: Operation) -> bool:
    return any(
        value.shape and value.shape[-1] is not None and value.shape[-1] * _BYTES[value.dtype] < LANE_BYTES
        for value in operation.outputs
        if value.dtype in _BYTES
    )


OFF = (
    Rule(lambda _p, one: one.kind in _RECURRENT, "the Neural Engine has no recurrent cells", LAYERS),
    Rule(lambda _p, one: one.kind in _NO_HARDWARE, "the Neural Engine has no KIND", ENGINE),
    Rule(lambda _p, one: one.kind.startswith("gather_nd"), "KIND is rejected", APPLE),
    Rule(lambda _p, one: "fp32" in _dtypes(one) and one.kind != "cast", "it makes fp32 values", APPLE),
    Rule(
        lambda _p, one: not _dtypes(one) <= {*_BYTES, "fp32"} and one.kind != "cast",
        "it makes values that are neither fp16 nor int8 nor int16",
        APPLE,
    ),
    Rule(
        lambda _p, one: any(len(value.shape) > 5 for value in one.outputs),
        "it has a tensor of more than 5 dimensions",
        APPLE,
    ),
    Rule(
        lambda _p, one: any(size is None for value in one.outputs for size in value.shape),
        "its shape is known only when it runs",
        APPLE,
    ),
)
SLOW = (
    Rule(_softmax_elsewhere, "its axis is not that of the channels", APPLE),
    Rule(_narrow, f"its last axis is below {LANE_BYTES} bytes, and is filled up", APPLE),
)


def readiness(artifact: Artifact) -> tuple[Readiness, ...]:
    """See `mocovit_deploy.formats.Format`. Raises `UsageError` for a folder that is no Core ML program."""
    from exporters.coreml.contents import operators

    program = read_program(artifact.path)
    where = {one.output: one.where for one in operators(artifact)}
    return (judge_program(program, where),)


def judge_program(program: Program, where: dict[str, str]) -> Readiness:
    """The operations off the Neural Engine, and those slow there.

    `where` maps the name of a value to the torch module of its operation.
    """
    outside, remarks = [], []
    for operation in program.operations:
        module = where.get(operation.name) or ROOT_MODULE
        if (rule := _first(OFF, program, operation)) is not None:
            outside.append(_obstacle(operation, module, rule))
        elif (rule := _first(SLOW, program, operation)) is not None:
            remarks.append(_obstacle(operation, module, rule))
    return Readiness(
        delegate="Neural Engine",
        operators=len(program.operations),
        outside=tuple(outside),
        remarks=tuple(remarks),
    )


def _first(rules: tuple[Rule, ...], program: Program, operation: Operation) -> Rule | None:
    return next((rule for rule in rules if rule.broken(program, operation)), None)


def _obstacle(operation: Operation, module: str, rule: Rule) -> Obstacle:
    why = rule.why.replace("KIND", operation.kind)
    return Obstacle(kind=operation.kind, where=module, why=why, source=rule.source)
