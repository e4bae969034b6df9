"""Verdicts against the float64 original: what a right file may be off by, and that no defect hides there."""

import numpy as np
import pytest

from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.golden import Golden
from mocovit_deploy.parity.decide import FAIL, NOT_RUN, PASS
from mocovit_deploy.parity.tolerance import LIVELINESS, OWN_ROUNDING, TOLERANCES
from mocovit_deploy.parity.verdict import judge_outputs

NAMES = ("one", "two", "three")
EXACT = np.random.default_rng(0).uniform(-1, 1, size=(3, 1, 6))
EXACT[0, 0, 0], EXACT[1, 0, 0] = -1, 1
"""The original in float64, whose range is 2."""
WHERE = np.zeros_like(EXACT)
WHERE[2, 0, 3] = np.ptp(EXACT)
"""`EXACT + e * WHERE` is off by e of the range in one place."""


def verdict(golden, found):
    artifact = Artifact("f", "onnx", "fp32", "m", "w", (), (), None, "", "")
    return judge_outputs(artifact, golden, found, "test", "fp32")


def golden(own=None, integers=None, **more):
    """A golden file whose torch float32 is off by `own` of the range; None is a file without float64."""
    single = (EXACT + (own or 0.0) * WHERE).astype(np.float32)
    rounding = {} if own is None else {"y": (EXACT - single).astype(np.float32)}
    inputs = {"x": np.arange(3.0).reshape(3, 1)} | ({} if integers is None else {"i": integers})
    return Golden(NAMES, inputs, {"y": single, **more}, rounding)


def off_by(error):
    return {"y": EXACT + error * WHERE}


@pytest.mark.parametrize(
    ("own", "error", "expected"),
    [
        (3.3e-5, 2.5e-5, PASS),  # mobilenetv4_hybrid_medium in ONNX
        (1.3e-5, 3.0e-5, PASS),
        (1.8e-3, 1.1e-3, PASS),  # 300 layers
        (1.3e-5, 6.0e-5, FAIL),
        (1.8e-3, 8.0e-3, FAIL),
        (1e-6, 1.1e-5, FAIL),
        (2.4e-6, 1.1e-5, FAIL),
        (2.7e-2, 3.3e-2, NOT_RUN),  # levit_128s with random weights
        (2.7e-2, 2e-1, FAIL),
        (None, 2.5e-5, FAIL),
        (None, 5e-6, PASS),
    ],
)
def test_errors_are_held_against_torchs_own(own, error, expected):
    report = verdict(golden(own), off_by(error))
    assert report.verdict == expected, report.reason
    (one,) = report.outputs
    assert one.max_error == pytest.approx(error, rel=1e-2)
    assert one.own_error == (None if own is None else pytest.approx(own, rel=1e-2))


def test_a_pass_by_torchs_own_error_says_so():
    assert verdict(golden(1.3e-5), off_by(3e-5)).reason == (
        "max error 3.0e-05 of the output range, torch's own float32 1.3e-05, tolerance 1e-05: within 4 times "
        "torch's own error"
    )
    assert "within" not in verdict(golden(1.3e-5), off_by(9e-6)).reason


def test_a_network_uncertain_beyond_use_says_by_how_much_and_what_to_do():
    reason = verdict(golden(2.7e-2), off_by(3.3e-2)).reason
    assert "the network's own float32 output is uncertain by 2.7e-02 of the range of y" in reason
    assert "multiplies a rounding of 2^-24 by 45" in reason
    assert "trained weights" in reason


def test_what_is_within_the_tolerance_needs_no_leniency():
    """An fp16 file of a network of great own error: its tolerance is the table's."""
    assert verdict(golden(2.4e-3), off_by(0)).verdict == PASS


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_no_own_error_excuses_nan(bad):
    report = verdict(golden(2e-3), {"y": np.where(WHERE > 0, bad, EXACT)})
    assert report.verdict == FAIL
    assert "NaN or infinite on three" in report.reason


def test_what_passes_by_own_error_must_vary_with_the_input_by_more():
    still = np.broadcast_to(np.arange(6.0), (3, 1, 6)).copy()
    still[1] += 0.01
    single = still.astype(np.float32)
    single[2, 0, 3] += 5e-3
    dull = Golden(NAMES, {"x": np.zeros((3, 1))}, {"y": single}, {"y": (still - single).astype(np.float32)})
    assert verdict(dull, {"y": still}).verdict == PASS
    report = verdict(dull, {"y": single})
    assert report.verdict == NOT_RUN
    assert "hardly depends on the input" in report.reason


def test_the_loosest_own_error_is_no_looser_than_the_table():
    assert OWN_ROUNDING.measured < OWN_ROUNDING.multiple < 2 * OWN_ROUNDING.measured
    floats = [one for one in TOLERANCES.values() if one.min_varying_db is None]
    loosest = max(tolerance.max_error for tolerance in floats)
    assert OWN_ROUNDING.multiple * OWN_ROUNDING.uncertain <= loosest < 1 / LIVELINESS


ANCHORS = np.broadcast_to(np.linspace(0, 500, 8, dtype=np.float32), (3, 1, 8))


def test_a_constant_output_is_judged_as_a_constant():
    report = verdict(golden(anchors=ANCHORS), off_by(0) | {"anchors": ANCHORS})
    assert report.verdict == PASS
    assert "anchors judged as constant" in report.reason


@pytest.mark.parametrize("value", [0.0, 7.25])
def test_a_constant_is_relative_to_its_magnitude(value):
    expected = np.full((3, 1, 4), value, np.float32)
    assert verdict(golden(z=expected), off_by(0) | {"z": expected}).verdict == PASS
    report = verdict(golden(z=expected), off_by(0) | {"z": expected + np.float32(1e-3)})
    assert report.verdict == FAIL
    assert "of its magnitude" in report.reason


def test_a_constant_that_varies_in_the_file_fails():
    wrong = ANCHORS.copy()
    wrong[1, 0, 2] += 0.1
    assert verdict(golden(anchors=ANCHORS), off_by(0) | {"anchors": wrong}).verdict == FAIL


def test_constants_alone_prove_nothing():
    alone = Golden(NAMES, {"x": np.zeros((3, 1))}, {"anchors": ANCHORS})
    report = verdict(alone, {"anchors": ANCHORS})
    assert report.verdict == NOT_RUN
    assert "hardly depends on the input" in report.reason
    assert "example" not in report.reason


@pytest.mark.parametrize(("number", "blamed"), [(0, True), (1, True), (None, False)])
def test_an_example_of_one_integer_is_said_to_be_at_fault(number, blamed):
    tokens = np.arange(15).reshape(3, 1, 5) if number is None else np.full((3, 1, 5), number)
    alone = Golden(NAMES, {"tokens": tokens}, {"anchors": ANCHORS})
    report = verdict(alone, {"anchors": ANCHORS})
    assert report.verdict == NOT_RUN
    assert (
        f"give example inputs with different integers: tokens holds only {number}" in report.reason
    ) == blamed


QUANTIZED = [key for key, one in TOLERANCES.items() if one.min_varying_db is not None]


def quantized_verdict(key, found, original=EXACT):
    artifact = Artifact("f", *key[:2], "m", "w", (), (), None, "", "")
    return judge_outputs(artifact, Golden(NAMES, {"x": EXACT}, {"y": original}), {"y": found}, "test", key[2])


@pytest.mark.parametrize("key", QUANTIZED, ids=" ".join)
def test_a_quantized_file_is_judged_by_its_noise_too(key):
    """Noise that is far within the largest error, and more than the output's changes bear."""
    least_db = TOLERANCES[key].min_varying_db
    varying = EXACT - EXACT.mean(axis=0)
    signs = np.sign(np.random.default_rng(1).standard_normal(EXACT.shape))
    noise = np.sqrt((varying**2).mean()) * signs

    def found(decibels):
        return (EXACT + noise * 10 ** (-decibels / 20)).astype(np.float32)

    assert quantized_verdict(key, found(least_db + 12)).verdict == PASS
    small = np.concatenate([EXACT[..., :5] * 0.01, np.array([[[50.0]]] * 3)], axis=-1)
    shifted = small + 0.01 * noise * 10 ** (-(least_db - 4) / 20)
    worse = quantized_verdict(key, shifted, small)
    assert worse.verdict == FAIL
    assert "against the part that varies" in worse.reason
    assert worse.outputs[0].max_error < TOLERANCES[key].max_error


@pytest.mark.parametrize("key", QUANTIZED, ids=" ".join)
@pytest.mark.parametrize("spoil", [lambda y: y * 2, lambda y: y[::-1], lambda y: y * np.nan, np.zeros_like])
def test_a_quantized_file_of_another_network_fails(key, spoil):
    assert quantized_verdict(key, spoil(EXACT)).verdict == FAIL


@pytest.mark.parametrize("key", QUANTIZED, ids=" ".join)
def test_a_quantized_output_that_ignores_the_input_fails(key):
    dull = EXACT.mean(axis=0, keepdims=True) + 1e-4 * EXACT
    assert (
        quantized_verdict(key, np.repeat(dull.mean(axis=0, keepdims=True), 3, axis=0), dull).verdict == FAIL
    )


def test_every_quantized_entry_was_measured_with_room():
    for key in QUANTIZED:
        one = TOLERANCES[key]
        assert one.measured < one.max_error / 3
        assert one.measured_db > one.min_varying_db + 6
