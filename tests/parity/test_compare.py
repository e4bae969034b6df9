import math

import numpy as np
import pytest

from mocovit_deploy.parity.compare import compare_output

EXPECTED = np.random.default_rng(0).normal(size=(8, 1, 10)).astype(np.float32)


def test_equal_arrays():
    d = compare_output("y", EXPECTED, EXPECTED.copy())
    assert d.finite
    assert d.max_abs == d.max_error == d.rmse == 0
    assert d.sqnr_db == math.inf
    assert d.cosine == pytest.approx(1)
    assert d.top1_agreement == 1


def test_the_numbers_are_what_they_say():
    found = EXPECTED.copy()
    found[3, 0, 2] += 0.5
    d = compare_output("y", EXPECTED, found)
    spread = float(EXPECTED.max() - EXPECTED.min())
    assert d.max_abs == pytest.approx(0.5, rel=1e-6)
    assert d.max_error == pytest.approx(0.5 / spread, rel=1e-6)
    assert d.rmse == pytest.approx(0.5 / math.sqrt(80), rel=1e-6)
    assert d.sqnr_db == pytest.approx(
        10 * math.log10(float((EXPECTED.astype(float) ** 2).sum()) / 0.25), rel=1e-6
    )
    assert d.worst_sample == 3


@pytest.mark.parametrize("factor", [0, 0.5, 1.5, 2, 10, -1])
def test_a_scaled_output_is_seen(factor):
    assert compare_output("y", EXPECTED, EXPECTED * factor).max_error > 0.1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", ["expected", "found", "both"])
def test_nan_and_infinity_are_never_near_anything(value, side):
    bad = EXPECTED.copy()
    bad[2] = value
    expected = bad if side in ("expected", "both") else EXPECTED
    found = bad if side in ("found", "both") else EXPECTED
    d = compare_output("y", expected, found)
    assert not d.finite
    assert math.isnan(d.max_error)
    if side != "expected":
        assert d.worst_sample == 2


def test_nothing_is_not_near_nothing():
    assert not compare_output("y", np.zeros((0, 3)), np.zeros((0, 3))).finite


def test_another_shape_is_another_network():
    with pytest.raises(ValueError, match="shape"):
        compare_output("y", EXPECTED, EXPECTED[..., :5])


def test_top1_agreement():
    found = EXPECTED.copy()
    found[0, 0] = -found[0, 0]
    assert compare_output("y", EXPECTED, found).top1_agreement == pytest.approx(7 / 8)
    assert compare_output("y", EXPECTED[..., None], EXPECTED[..., None]).top1_agreement is None


def test_liveliness():
    constant = np.broadcast_to(np.arange(10.0), (8, 1, 10)).copy()
    assert compare_output("y", constant, constant).liveliness == 0
    constant[3, 0, 0] = 4.5
    assert compare_output("y", constant, constant).liveliness == pytest.approx(0.5)


def test_what_varies_is_of_all_samples_though_one_is_judged():
    """A sample that happens to lie near the mean is not a worse file's."""
    whole = np.array([[[0.0, 4.0]], [[4.0, 0.0]], [[2.1, 1.9]]])
    near, far = (compare_output("y", whole[[i]], whole[[i]] + 0.1, whole=whole) for i in (2, 0))
    assert near.varying_db == pytest.approx(far.varying_db)
    every = compare_output("y", whole, whole + 0.1, whole=whole)
    assert every.varying_db == pytest.approx(compare_output("y", whole, whole + 0.1).varying_db)
    assert near.varying_db == pytest.approx(every.varying_db), "the same noise on every sample"
