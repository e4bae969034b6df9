from __future__ import annotations

import numpy as np
import pytest
import torch

UNARY = {
    # name: (low, high, torch)
    "abs": (-2, 2, torch.abs),
    "acos": (-0.9, 0.9, torch.acos),
    "asin": (-0.9, 0.9, torch.asin),
    "atan": (-3, 3, torch.atan),
    "atanh": (-0.9, 0.9, torch.atanh),
    "ceil": (-3, 3, torch.ceil),
    "cos": (-3, 3, torch.cos),
    "cosh": (-2, 2, torch.cosh),
    "erf": (-3, 3, torch.erf),
    "exp": (-3, 3, torch.exp),
    "exp2": (-3, 3, torch.exp2),
    "floor": (-3, 3, torch.floor),
    "identity": (-3, 3, torch.clone),
    "round": (-3, 3, torch.round),
    "sign": (-1, 1, torch.sign),
    "sin": (-3, 3, torch.sin),
    "sinh": (-2, 2, torch.sinh),
    "sqrt": (0, 4, torch.sqrt),
    "square": (-3, 3, torch.square),
    "tan": (-1, 1, torch.tan),
    "tanh": (-3, 3, torch.tanh),
}


@pytest.mark.parametrize("name", UNARY)
def test_unary(name, agree, draw):
    low, high, function = UNARY[name]
    agree(
        [draw((3, 4, 5), low, high)],
        lambda mb, const, x: getattr(mb, name)(x=x),
        lambda const, x: function(x),
    )


BINARY = {
    "add": torch.add,
    "floor_div": torch.floor_divide,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "mod": torch.remainder,
    "mul": torch.mul,
    "pow": torch.pow,
    "real_div": torch.true_divide,
    "sub": torch.sub,
}
SHAPES = {
    "alike": ((2, 3, 4), (2, 3, 4)),
    "channel": ((2, 3, 4, 5), (1, 3, 1, 1)),
    "lower-rank": ((2, 3, 4), (4,)),
    "both-broadcast": ((2, 1, 4), (3, 1)),
}


@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("name", BINARY)
def test_binary(name, shapes, agree, draw):
    x, y = (draw(shape, 0.5, 3) for shape in shapes)
    agree(
        [x, y],
        lambda mb, const, x, y: getattr(mb, name)(x=x, y=y),
        lambda const, x, y: BINARY[name](x, y),
    )


@pytest.mark.parametrize("name", ["add", "mul", "sub", "real_div", "maximum"])
def test_binary_with_a_scalar_constant(name, agree, draw):
    agree(
        [draw((2, 3))],
        lambda mb, const, x: getattr(mb, name)(x=x, y=const(0.25)),
        lambda const, x: BINARY[name](x, torch.tensor(0.25)),
    )


@pytest.mark.parametrize("name", ["floor_div", "mod"])
def test_negative_quotients_round_down(name, agree):
    x = np.array([-3.0, -2.5, 2.5, 3.0], np.float32)
    agree(
        [x],
        lambda mb, const, x: getattr(mb, name)(x=x, y=const(2.0)),
        lambda const, x: BINARY[name](x, torch.tensor(2.0)),
    )


@pytest.mark.parametrize("name", ["add", "mul", "sub", "floor_div", "mod", "maximum"])
def test_integers(name, save):
    from exporters.coreml.execute import execute

    x = np.array([-7, 3, 16777217], np.int32)  # the last is no float32 number
    program = save([x], lambda mb, x: getattr(mb, name)(x=x, y=np.int32(2)))
    found = execute(program, {"x0": x}, "fp32")[program.outputs[0]]
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, BINARY[name](torch.from_numpy(x), torch.tensor(2)).numpy())


COMPARISONS = {
    "equal": torch.eq,
    "greater": torch.gt,
    "greater_equal": torch.ge,
    "less": torch.lt,
    "less_equal": torch.le,
    "not_equal": torch.ne,
}


@pytest.mark.parametrize("name", COMPARISONS)
def test_comparison(name, agree):
    x = np.array([-1.0, 0.0, 0.5, 1.0], np.float32)
    agree(
        [x],
        # Core ML has no boolean outputs: coremltools casts them, here by name.
        lambda mb, const, x: mb.cast(x=getattr(mb, name)(x=x, y=const(0.5)), dtype="int32"),
        lambda const, x: COMPARISONS[name](x, torch.tensor(0.5)).int(),
    )


LOGIC = {
    "logical_and": torch.logical_and,
    "logical_or": torch.logical_or,
    "logical_xor": torch.logical_xor,
}


@pytest.mark.parametrize("name", LOGIC)
def test_logic(name, agree):
    x = np.array([-1.0, 1.0, -1.0, 1.0], np.float32)
    y = np.array([-1.0, -1.0, 1.0, 1.0], np.float32)

    def build(mb, const, x, y):
        positive = [mb.greater(x=each, y=const(0.0)) for each in (x, y)]
        return mb.cast(x=getattr(mb, name)(x=positive[0], y=positive[1]), dtype="int32")

    agree([x, y], build, lambda const, x, y: LOGIC[name](x > 0, y > 0).int())


def test_logical_not(agree):
    agree(
        [np.array([-1.0, 1.0], np.float32)],
        lambda mb, const, x: mb.cast(x=mb.logical_not(x=mb.greater(x=x, y=const(0.0))), dtype="int32"),
        lambda const, x: (x <= 0).int(),
    )


def test_select(agree, draw):
    agree(
        [draw((3, 4)), draw((3, 4)), draw((3, 4))],
        lambda mb, const, c, a, b: mb.select(cond=mb.greater(x=c, y=const(0.0)), a=a, b=b),
        lambda const, c, a, b: torch.where(c > 0, a, b),
    )


def test_clip_and_threshold(agree, draw):
    agree(
        [draw((3, 4))],
        lambda mb, const, x: [
            mb.clip(x=x, alpha=const(-0.25), beta=const(0.5)),
            mb.threshold(x=x, alpha=const(0.125)),
        ],
        lambda const, x: [x.clamp(-0.25, 0.5), x.clamp(min=0.125)],
    )


@pytest.mark.parametrize("epsilon", [0.0, 0.125])
def test_epsilons(epsilon, agree, draw):
    agree(
        [draw((3, 4), 0.5, 2)],
        lambda mb, const, x: [
            mb.inverse(x=x, epsilon=const(epsilon)),
            mb.log(x=x, epsilon=const(epsilon)),
            mb.rsqrt(x=x, epsilon=const(epsilon)),
        ],
        lambda const, x: [1 / (x + epsilon), torch.log(x + epsilon), torch.rsqrt(x + epsilon)],
    )


def test_cast_to_int_cuts_off(agree):
    agree(
        [np.array([-1.75, -0.25, 0.75, 1.5], np.float32)],
        lambda mb, const, x: mb.cast(x=x, dtype="int32"),
        lambda const, x: x.int(),
    )
