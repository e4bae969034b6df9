from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from exporters.coreml import execute as executor
from exporters.coreml.execute import NotExecutable, execute, require_executable
from exporters.coreml.program import Operation, Program, Value
from mocovit_deploy.errors import ParityError


def straight(*operations: Operation, outputs: tuple[str, ...] = ("y",), **constants: object) -> Program:
    """A program on one input x of shape (2,)."""
    return Program((Value("x", "fp32", (2,)),), outputs, operations, constants)  # type: ignore[arg-type]


def step(kind: str, output: str, dtype: str = "fp32", shape: tuple[int, ...] = (2,), **operands: str):
    return Operation(kind, operands, (Value(output, dtype, shape),))


X = {"x": np.array([1.0, 2.0], np.float32)}


def test_an_unknown_operation_is_refused_by_name_before_anything_runs(monkeypatch):
    ran = []
    monkeypatch.setattr(executor, "_call", lambda operation, values: ran.append(operation.kind))
    program = straight(step("relu", "a", x="x"), step("lstm", "h", x="a"), step("topk", "y", x="h"))
    with pytest.raises(NotExecutable) as caught:
        execute(program, X, "fp32")
    assert ran == []
    assert [(kind, name) for kind, name, _ in caught.value.operations] == [("lstm", "h"), ("topk", "y")]
    assert "lstm (output h)" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status == ParityError.exit_status


def test_an_unknown_parameter_of_a_known_operation_is_refused():
    program = straight(step("relu", "y", x="x", novelty="x"))
    with pytest.raises(NotExecutable, match=r"relu \(output y\): .*novelty"):
        require_executable(program)


def test_many_unknown_operations_are_all_listed_and_the_message_stays_short():
    steps = [step("lstm", f"h{i}", x="x") for i in range(9)]
    with pytest.raises(NotExecutable, match=r"output h4\): unknown operation; and 4 more; run") as caught:
        require_executable(straight(*steps, outputs=("h8",)))
    assert len(caught.value.operations) == 9


def test_a_saved_program_with_an_unknown_operation_is_refused(save):
    x = np.zeros((1, 4), np.float32)
    program = save([x], lambda mb, x: mb.topk(x=mb.relu(x=x), k=2, axis=1))
    with pytest.raises(NotExecutable, match=r"topk \(output "):
        execute(program, {"x0": x}, "fp32")


def test_a_failing_operation_is_named():
    program = straight(step("transpose", "y", x="x", perm="perm"), perm=np.array([1, 0]))
    with pytest.raises(ParityError, match=r"transpose \(output y\) failed: "):
        execute(program, X, "fp32")


def test_a_result_of_another_shape_than_declared_is_an_error():
    program = straight(step("relu", "y", shape=(3,), x="x"))
    with pytest.raises(ParityError, match=r"relu \(output y\) made shape \(2,\), the file declares \(3,\)"):
        execute(program, X, "fp32")


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "inputs  given, the file takes x"),
        ({"z": X["x"]}, "inputs z given, the file takes x"),
        ({**X, "z": X["x"]}, "inputs x, z given"),
        ({"x": np.zeros((3,), np.float32)}, r"input x: shape \(3,\), the file takes \(2,\)"),
    ],
)
def test_inputs_that_are_not_the_programs(inputs, message):
    with pytest.raises(ParityError, match=message):
        execute(straight(step("relu", "y", x="x")), inputs, "fp32")


def test_another_arithmetic_is_an_internal_error():
    with pytest.raises(ValueError, match="int8"):
        execute(straight(step("relu", "y", x="x")), X, "int8")


def test_values_are_dropped_after_their_last_use():
    program = straight(
        step("relu", "a", x="x"),
        step("add", "b", x="a", y="one"),
        step("mul", "y", x="b", y="a"),
        one=np.float32(1),
    )
    assert [set(names) for names in executor._last_uses(program)] == [{"x"}, set(), {"a", "b"}]


def test_a_value_nobody_reads_is_dropped_and_outputs_stay():
    program = straight(step("relu", "unread", x="x"), step("relu", "y", x="x"), step("relu", "z", x="y"))
    assert [set(names) for names in executor._last_uses(program)] == [{"unread"}, {"x"}, {"z"}]
    assert list(execute(program, X, "fp32")) == ["y"]


def test_outputs_are_copies():
    kept = np.array([5.0, 6.0], np.float32)
    program = straight(step("identity", "y", x="x"), outputs=("y", "c"), c=kept)
    found = execute(program, X, "fp32")
    found["y"][:] = found["c"][:] = 0
    np.testing.assert_array_equal(X["x"], [1.0, 2.0])
    np.testing.assert_array_equal(kept, [5.0, 6.0])


HALVES = straight(
    step("add", "a", "fp16", x="x", y="tiny"), step("sub", "y", "fp16", x="a", y="x"), tiny=np.float32(2**-12)
)


def test_half_rounds_after_every_operation():
    """1 + 2^-12 is no float16 number: the sum rounds to 1, and nothing is left of the addend."""
    np.testing.assert_array_equal(execute(HALVES, X, "fp16")["y"], [0.0, 0.0])
    np.testing.assert_array_equal(execute(HALVES, X, "fp32")["y"], [2**-12, 2**-12])


def test_half_overflows_where_a_stored_value_would():
    program = straight(
        step("mul", "a", "fp16", x="x", y="big"),
        step("real_div", "y", "fp16", x="a", y="big"),
        big=np.float32(60000),
    )
    np.testing.assert_array_equal(execute(program, X, "fp16")["y"], [1.0, np.inf])
    np.testing.assert_array_equal(execute(program, X, "fp32")["y"], [1.0, 2.0])


def test_arithmetic_of_a_program_is_what_it_declares():
    assert HALVES.arithmetic == "fp16"
    assert straight(step("relu", "y", x="x")).arithmetic == "fp32"
    weights_only = straight(step("cast", "a", "fp16", x="x"), step("cast", "y", x="a"))
    assert weights_only.arithmetic == "fp32"


KEEPS_NAN = {
    "relu": lambda mb, x: mb.relu(x=x),
    "relu6": lambda mb, x: mb.relu6(x=x),
    "clip": lambda mb, x: mb.clip(x=x, alpha=np.float32(0), beta=np.float32(1)),
    "clamped_relu": lambda mb, x: mb.clamped_relu(x=x, alpha=np.float32(0), beta=np.float32(1)),
    "elu": lambda mb, x: mb.elu(x=x, alpha=np.float32(1)),
    "leaky_relu": lambda mb, x: mb.leaky_relu(x=x, alpha=np.float32(0.1)),
    "thresholded_relu": lambda mb, x: mb.thresholded_relu(x=x, alpha=np.float32(0)),
    "threshold": lambda mb, x: mb.threshold(x=x, alpha=np.float32(0)),
    "maximum": lambda mb, x: mb.maximum(x=x, y=np.float32(0)),
    "minimum": lambda mb, x: mb.minimum(x=x, y=np.float32(0)),
    "sigmoid": lambda mb, x: mb.sigmoid(x=x),
    "sigmoid_hard": lambda mb, x: mb.sigmoid_hard(x=x, alpha=np.float32(0.2), beta=np.float32(0.5)),
    "silu": lambda mb, x: mb.silu(x=x),
    "softplus": lambda mb, x: mb.softplus(x=x),
    "gelu": lambda mb, x: mb.gelu(x=x),
    "softmax": lambda mb, x: mb.softmax(x=x, axis=1),
    "reduce_max": lambda mb, x: mb.reduce_max(x=x, axes=[1], keep_dims=True),
    "reduce_mean": lambda mb, x: mb.reduce_mean(x=x, axes=[1], keep_dims=True),
    "max_pool": lambda mb, x: mb.max_pool(x=x, kernel_sizes=(2, 2), strides=(2, 2), pad_type="valid"),
    "avg_pool": lambda mb, x: mb.avg_pool(x=x, kernel_sizes=(2, 2), strides=(2, 2), pad_type="valid"),
    "conv": lambda mb, x: mb.conv(x=x, weight=np.ones((1, 2, 1, 1), np.float32)),
    "instance_norm": lambda mb, x: mb.instance_norm(x=x, epsilon=np.float32(1e-5)),
    "upsample_bilinear": lambda mb, x: mb.upsample_bilinear(x=x, scale_factor_height=2, scale_factor_width=2),
}


@pytest.mark.parametrize("build", KEEPS_NAN.values(), ids=KEEPS_NAN)
def test_nan_reaches_the_output(build, save):
    x = np.zeros((1, 2, 4, 4), np.float32)
    x[0, 1, 1, 1] = np.nan
    program = save([x], build)
    for arithmetic in executor.ARITHMETICS:
        assert np.isnan(execute(program, {"x0": x}, arithmetic)[program.outputs[0]]).any()


def test_integers_are_not_rounded_to_half():
    program = straight(step("add", "y", "int32", x="x", y="n"), n=70001)
    program = dataclasses.replace(program, inputs=(Value("x", "int32", (2,)),))
    found = execute(program, {"x": np.array([1, 2], np.int32)}, "fp16")["y"]
    np.testing.assert_array_equal(found, [70002, 70003])
