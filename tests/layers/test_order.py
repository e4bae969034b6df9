"""Values in an order that shapes do not tell from another."""

import dataclasses

import numpy as np

from mocovit_deploy.artifacts.marks import FileValue
from mocovit_deploy.layers.order import in_known_order
from mocovit_deploy.layers.original import Layer, Trace
from mocovit_deploy.layers.taps import find_taps

E = np.arange(1, 33, dtype=np.float32).reshape(1, 2, 4, 4)
TRACE = Trace(
    (
        Layer("relu", "a.2", "relu", "a.2", 1.0, ("image",), moves_only=False),
        Layer("view", "b", "view", "b", 1.0, ("relu",), moves_only=True),
        Layer("linear", "c", "linear", "c", 1.0, ("view",), moves_only=False),
    ),
    {"relu": (E + 1,), "linear": (E.reshape(1, 32) * 2,)},
    (),
    {"logits": "linear"},
)
VALUES = (FileValue("t", ("a.2:relu",), (1, 2, 4, 4)), FileValue("logits", (), (1, 32)))
TURNED = np.ascontiguousarray((E + 1).reshape(2, 2, 2, 4).swapaxes(0, 1)).reshape(E.shape)
LOGITS = E.reshape(1, 32) * 2


def kept(relu, logits, **how):
    taps, _ = find_taps(TRACE, VALUES)
    left, missing = in_known_order(TRACE, taps, [{"t": relu, "logits": logits}], 1e-5, **how)
    return [tap.value.name for tap in left], [one.why for one in missing]


def test_a_value_in_an_order_of_its_own_is_left_out_where_its_reader_is_right():
    assert kept(TURNED, LOGITS) == (["logits"], ["the file has it in an order of its own"])


def test_rounding_does_not_hide_an_order_nor_make_one():
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, E.shape).astype(np.float32)
    assert kept(TURNED + noise, LOGITS) == (["t", "logits"], []), "too far off for the bound"
    assert kept(TURNED + noise, LOGITS, rounded=True)[0] == ["logits"]
    assert kept(E + 1 + 4 * noise, LOGITS, rounded=True) == (["t", "logits"], [])
    assert kept(E + 1, LOGITS, rounded=True) == (["t", "logits"], []), "no error at all"


def test_one_whose_reader_is_wrong_stays():
    assert kept(TURNED, LOGITS[:, ::-1]) == (["t", "logits"], [])


def test_right_and_other_values_stay():
    assert kept(E + 1, LOGITS) == (["t", "logits"], [])
    assert kept(E * 1.5, LOGITS) == (["t", "logits"], [])


def test_an_output_is_always_judged():
    """Also one whose only reader, a mean, does not mind the order."""
    both = dataclasses.replace(TRACE, outputs={"logits": "linear", "t": "relu"})
    taps, _ = find_taps(both, VALUES)
    assert in_known_order(both, taps, [{"t": TURNED, "logits": LOGITS}], 1e-5)[1] == ()
