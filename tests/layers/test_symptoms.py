"""Each detector speaks of its own fault, and none of a value that is right."""

import numpy as np
import pytest

from mocovit_deploy.layers.symptoms import kind_of

BOUND = 1e-5


@pytest.fixture
def value():
    """Two runs of (1, 6, 8, 8)."""
    return np.random.default_rng(0).standard_normal((2, 1, 6, 8, 8)).astype(np.float32)


def changed(value, channel, change):
    found = value.copy()
    found[:, :, channel] = change(found[:, :, channel])
    return found


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda e: np.where(e > 2, np.nan, e), "NaN arises here"),
        (lambda e: np.where(e > 2, np.inf, e), "overflow to infinity"),
        (lambda e: 0 * e, "all zero"),
        (lambda e: np.clip(e, None, 1.5), "saturated at 1.5"),
        (lambda e: np.clip(e, -1.5, None), "saturated at -1.5"),
        (lambda e: e * 1.25, "scaled by 1.25"),
        (lambda e: e + 0.5, "shifted by 0.5"),
        (lambda e: changed(e, 3, lambda c: c + 1), "channel 3 of 6 shifted, each by one number (a bias)"),
        (lambda e: changed(e, [0, 4], lambda c: c * 2), "channels 0, 4 of 6 scaled, each by one factor"),
        (lambda e: changed(e, 2, lambda c: 2 * c + 1), "a BatchNorm folded differently"),
        (lambda e: changed(e, 1, lambda c: c**2), "channel 1 of 6 wrong, the others right"),
        (lambda e: e[:, :, [0, 1, 5, 3, 4, 2]], "channels 2, 5 of 6 in another order"),
        (lambda e: e.swapaxes(3, 4), "wrong layout"),
        (lambda e: e**3, ""),
    ],
)
def test_a_fault_is_told(value, fault, words):
    found = kind_of(value, fault(value).astype(np.float32), BOUND)
    assert words in found
    assert bool(found) == bool(words)


def test_a_missing_and_a_superfluous_relu(value):
    positive = np.maximum(value, 0)
    assert kind_of(positive, value, BOUND) == "a ReLU is missing"
    assert kind_of(value, positive, BOUND) == "there is one ReLU too many"


def test_underflow(value):
    tiny = np.where(np.abs(value) < 0.1, value * 1e-9, value).astype(np.float32)
    assert "underflow to zero" in kind_of(tiny, tiny.astype(np.float16).astype(np.float32), 1e-3)


def test_two_axes_have_no_channels_to_tell_of():
    row = np.arange(10, dtype=np.float32).reshape(2, 5)
    assert kind_of(row, row[:, ::-1], BOUND) == "the right numbers in wrong places: wrong layout"
