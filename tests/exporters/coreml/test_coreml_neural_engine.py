"""Every rule of the Neural Engine has an operation that breaks it."""

from __future__ import annotations

import numpy as np
import pytest

from exporters.coreml.neural_engine import OFF, SLOW, judge_program
from exporters.coreml.program import Operation, Program, Value

ROOM = (1, 64, 8, 32)


def one(kind, shape=ROOM, dtype="fp16", **constants):
    """A program of a single operation."""
    output = Value("y", dtype, shape)
    operation = Operation(kind, {"x": "x", **{name: name for name in constants}}, (output,))
    return Program((Value("x", dtype, ROOM),), ("y",), (operation,), constants)


OUTSIDE = (
    one("lstm"),
    one("scatter_nd"),
    one("gather_nd"),
    one("relu", dtype="fp32"),
    one("argmax", dtype="int32"),
    one("reshape", (1, 2, 2, 2, 8, 32)),
    one("relu", (1, None, 8, 32)),
)
REMARKED = (one("softmax", axis=np.array(-1)), one("reduce_mean", (1, 64, 1, 1)))


def test_every_rule_is_broken():
    """In their order: the n-th program breaks the n-th rule and none before it."""
    assert len(OUTSIDE) == len(OFF)
    assert len(REMARKED) == len(SLOW)
    for program, rule in zip(OUTSIDE, OFF, strict=True):
        (obstacle,) = judge_program(program, {"y": "stem.0"}).outside
        assert (obstacle.where, obstacle.source) == ("stem.0", rule.source)
        assert obstacle.why == rule.why.replace("KIND", obstacle.kind)
    for program, rule in zip(REMARKED, SLOW, strict=True):
        found = judge_program(program, {})
        assert not found.outside
        assert [remark.why for remark in found.remarks] == [rule.why]


@pytest.mark.parametrize(
    "program",
    [one("conv"), one("softmax", axis=np.array(1)), one("cast", dtype="fp32"), one("linear", (1, 1000))],
)
def test_what_breaks_no_rule(program):
    found = judge_program(program, {})
    assert (found.outside, found.remarks, found.operators) == ((), (), 1)
