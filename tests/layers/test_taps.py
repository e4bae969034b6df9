import numpy as np

from mocovit_deploy.artifacts.marks import FileValue
from mocovit_deploy.layers.taps import Layer, Missing, Trace, find_taps, first_divergence, read_taps


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
        ("a.0", "the file has it in a form of its own: (1, 6, 6, 2)"),
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
    return read_taps(TRACE, taps, [{"image": E}], plain, forced, 1e-5)


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


def test_nan_diverges():
    first = first_divergence(read(Fixed(t=nhwc(E + np.nan), logits=E.reshape(1, 32) * 2)))
    assert "NaN born here" in first.kind
