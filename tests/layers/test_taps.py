import dataclasses

import numpy as np
import pytest

from mocovit_deploy.artifacts.marks import FileValue
from mocovit_deploy.layers.original import Layer, Missing, Trace
from mocovit_deploy.layers.taps import find_taps, first_divergence, missing_after, read_taps


def layer(operation, module, *reads, kind="conv2d", moves_only=False):
    return Layer(operation, module, kind, module, 1.0, reads, moves_only)


E = np.arange(1, 33, dtype=np.float32).reshape(1, 2, 4, 4)
LAYERS = (
    layer("conv", "a.0", "image"),
    layer("relu", "a.2", "conv", kind="relu"),
    layer("view", "b", "relu", kind="view", moves_only=True),
    layer("linear", "c", "view", kind="linear"),
)
TRACE = Trace(
    LAYERS,
    {"conv": (E,), "relu": (E + 1,), "view": (E.reshape(1, 32),), "linear": (E.reshape(1, 32) * 2,)},
    (Missing("a.1", "batch_norm", "folded"),),
    {"logits": "linear"},
)
VALUES = (
    FileValue("pad", ("a.0:conv",), (1, 6, 6, 2)),
    FileValue("t", ("a.2:relu", "a.0:conv"), (1, 4, 4, 2), "nhwc"),
    FileValue("logits", (), (1, 32)),
)


def test_taps_are_found_and_what_has_none_says_why():
    taps, missing = find_taps(TRACE, VALUES)
    assert [(tap.layer.operation, tap.value.name, tap.arrangement.name) for tap in taps] == [
        ("relu", "t", "nhwc"),
        ("linear", "logits", ""),
    ]
    assert [(one.module, one.why) for one in missing] == [
        ("a.1", "folded"),
        ("a.0", "the file has it in another form: (1, 6, 6, 2)"),
        ("b", "it only moves data, and the converter left it out"),
    ]


class Fixed:
    """A predictor of what it was made with, that remembers what it was given."""

    runtime, arithmetic = "none", "fp32"

    def __init__(self, **values):
        self.values, self.seen = values, []

    def __call__(self, inputs):
        self.seen.append(dict(inputs))
        return self.values


def nhwc(array):
    return array.transpose(0, 2, 3, 1)


def read(plain, forced=None):
    taps, _ = find_taps(TRACE, VALUES)
    return read_taps(TRACE, taps, [{"image": E}], [plain({"image": E})], forced, 1e-5)


def test_right_values_diverge_nowhere():
    readings = read(Fixed(t=nhwc(E + 1), logits=E.reshape(1, 32) * 2))
    assert first_divergence(readings) is None
    assert [reading.carried.max_abs for reading in readings] == [0, 0]


def test_the_first_in_order_is_named_with_all_that_is_in_one_piece_with_it():
    first = first_divergence(read(Fixed(t=nhwc(E + 1.01), logits=E.reshape(1, 32) * 2.1)))
    assert first.span == ("a.2", "a.0")
    assert first.kind == "shifted by 0.01"


def test_a_layer_is_not_blamed_for_the_one_before_it():
    wrong, right = nhwc(E + 9), E.reshape(1, 32) * 2
    forced = Fixed(t=nhwc(E + 1), logits=right * 1.5)
    readings = read(Fixed(t=wrong, logits=right), forced)
    assert [reading.diverges for reading in readings] == [False, True]
    assert first_divergence(readings).span == ("c", "b")
    assert np.array_equal(forced.seen[0]["t"], nhwc(E + 1)), "the original's value, as the file holds it"
    assert "logits" not in forced.seen[0]


def test_a_layer_may_be_off_by_a_multiple_of_torchs_own_rounding():
    plain = Fixed(t=nhwc(E + 1) + np.float32(2e-3), logits=E.reshape(1, 32) * 2)
    taps, _ = find_taps(TRACE, VALUES)

    def diverging(rounding, forced=None):
        trace = dataclasses.replace(TRACE, rounding=rounding)
        found = read_taps(trace, taps, [{"image": E}], [plain({"image": E})], forced, 1e-5)
        return [one.tap.layer.operation for one in found if one.diverges]

    assert diverging({"relu": 2e-5}) == []
    assert diverging({"relu": 1e-5}) == ["relu"]
    assert diverging({"relu": 2e-5}, forced=plain) == ["relu"], "alone, there are no errors before it"


def test_nan_diverges():
    first = first_divergence(read(Fixed(t=nhwc(E + np.nan), logits=E.reshape(1, 32) * 2)))
    assert "NaN arises here" in first.kind


GAMMA = np.array([1e-5, 3e-5], np.float32).reshape(1, 2, 1, 1)
SCALED = Trace(
    (
        layer("conv", "a", "image"),
        layer("gamma", "scale", kind="view", moves_only=True),
        layer("mul", "scale", "conv", "gamma", kind="mul"),
        layer("add", "", "mul", "image", kind="add"),
        layer("linear", "c", "add", kind="linear"),
    ),
    {"conv": (E,), "mul": (E * GAMMA,), "add": (E + E * GAMMA,), "linear": (E.reshape(1, 32) * 2,)},
    (),
    {"logits": "linear"},
)
MERGED = (
    FileValue("c", ("a:conv",), E.shape),
    FileValue("s", (":add",), E.shape),
    FileValue("logits", (), (1, 32)),
)
RIGHT = {"s": E + E * GAMMA, "logits": E.reshape(1, 32) * 2}


def read_merged(plain, forced=None, values=MERGED):
    taps, missing = find_taps(SCALED, values)
    readings = read_taps(SCALED, taps, [{"image": E}], [plain({"image": E})], forced, 1e-5)
    return readings, missing_after(missing, taps, readings)


def test_a_scale_merged_into_a_layer_is_followed():
    forced = Fixed(c=E * GAMMA, **RIGHT)
    readings, missing = read_merged(Fixed(c=E * GAMMA, **RIGHT), forced)
    assert [reading.tap.layer.operation for reading in readings] == ["mul", "add", "linear"]
    assert first_divergence(readings) is None
    assert readings[0].span == ("scale", "a")
    assert [(one.module, one.why) for one in missing] == [("a", "one operator of the file with mul of scale")]
    assert np.array_equal(forced.seen[-1]["c"], E * GAMMA), "what reads it is given the scaled value"


@pytest.mark.parametrize("spoilt", [E * GAMMA * 1.01, -E * GAMMA, E[:, ::-1] * GAMMA, E * GAMMA + 1])
def test_a_defect_of_a_layer_with_a_scale_in_it_is_its_own(spoilt):
    readings, _ = read_merged(Fixed(c=spoilt, **RIGHT), Fixed(c=spoilt, **RIGHT))
    assert first_divergence(readings).tap.value.name == "c"
    assert "a" in first_divergence(readings).span


def test_a_layer_that_is_scaled_by_mistake_is_not_excused_by_a_scale_the_file_has():
    values = (MERGED[0], FileValue("m", ("scale:mul",), E.shape), *MERGED[1:])
    readings, _ = read_merged(
        Fixed(c=E * GAMMA, m=E * GAMMA, **RIGHT), Fixed(c=E * GAMMA, m=E * GAMMA, **RIGHT), values
    )
    assert first_divergence(readings).span == ("a",)


def test_a_scale_that_was_forgotten_is_found():
    readings, _ = read_merged(Fixed(c=E, **RIGHT), Fixed(c=E, **(RIGHT | {"s": E + E})))
    assert first_divergence(readings) is not None


def test_behind_a_defect_the_values_from_the_originals_say_which_scale_it_is():
    """Carried values fit neither; the second look decides, and the file is run again with it."""
    gentle = np.array([0.9, 1.2], np.float32).reshape(1, 2, 1, 1)
    trace = dataclasses.replace(SCALED, values=SCALED.values | {"mul": (E * gentle,)})
    taps, _ = find_taps(trace, MERGED)
    forced = Fixed(c=E * gentle, **RIGHT)
    readings = read_taps(trace, taps, [{"image": E}], [{"c": E * 0.95, **RIGHT}], forced, 1e-5)
    assert readings[0].tap.layer.operation == "mul"
    assert not readings[0].diverges
    assert len(forced.seen) == 2


def test_a_mean_held_as_a_sum_is_followed():
    pooled = dataclasses.replace(layer("conv", "a", "image", kind="avg_pool2d"), window=9)
    trace = dataclasses.replace(SCALED, layers=(pooled, *SCALED.layers[1:]))
    values = (FileValue("c", ("a:avg_pool2d_conv", "a:conv"), E.shape), *MERGED[1:])
    taps, _ = find_taps(trace, values)
    forced = Fixed(c=E * 9, **RIGHT)
    readings = read_taps(trace, taps, [{"image": E}], [{"c": E * 9, **RIGHT}], forced, 1e-5)
    assert first_divergence(readings) is None
    assert readings[0].tap.form == "times 9"
    assert np.array_equal(forced.seen[-1]["c"], E * 9)
    readings = read_taps(trace, taps, [{"image": E}], [{"c": E * 8, **RIGHT}], Fixed(c=E * 8, **RIGHT), 1e-5)
    assert first_divergence(readings).tap.value.name == "c"
