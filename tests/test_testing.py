"""assert_parity: what it takes, what it says, and that it has no default."""

from __future__ import annotations

import inspect
import shutil
from pathlib import Path

import pytest

from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.contract.bounds import METRICS
from mocovit_deploy.errors import UsageError
from mocovit_deploy.testing import assert_parity

MODELS = Path(__file__).parent / "benchmarks" / "models"
TINY = MODELS / "tiny.tflite"


def test_a_bound_that_holds_gives_back_what_was_measured():
    (check,) = assert_parity(TINY, max_error=1e-5)
    assert 0 < check.value <= 1e-5
    (same,) = assert_parity(read_manifest(TINY), max_error=1e-5)
    assert same.value == check.value


def test_a_miss_is_an_assertion_with_the_numbers():
    with pytest.raises(AssertionError) as caught:
        assert_parity(TINY, max_error=1e-12, max_size_bytes=10, max_operators=1000)
    said = str(caught.value)
    assert "2 of 3 bounds missed" in said
    assert "fail: max_error is " in said
    assert "the bound is at most 1.0e-12" in said
    assert "fail: max_size_bytes is 7,108 bytes, the bound is at most 10 bytes" in said
    assert "max_operators at most 1,000: " in said


def test_a_bound_that_was_not_run_is_no_pass(tmp_path):
    for path in MODELS.glob("tiny.tflite*"):
        shutil.copy(path, tmp_path / path.name)
    (tmp_path / "tiny.tflite.golden.npz").unlink()
    with pytest.raises(AssertionError, match="not run: .*no golden file"):
        assert_parity(tmp_path / "tiny.tflite", max_error=1e-5)


def test_there_is_no_default_tolerance():
    with pytest.raises(TypeError, match="no bound to check: give one, as in max_error=1e-5"):
        assert_parity(TINY)
    with pytest.raises(TypeError, match="no bound to check"):
        assert_parity(TINY, target="host", arithmetic="fp32")
    words = {metric.word for metric in METRICS}
    assert not words & set(inspect.signature(assert_parity).parameters)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"max_eror": 1e-5}, "did you mean 'max_error'"),
        ({"max_error": float("nan")}, "nan is not a finite number"),
        ({"max_error": -1.0}, "is not a finite number, 0 or more"),
        ({"max_error": None}, "None is not a number"),
        ({"min_accuracy": 0.5}, "min_accuracy needs data"),
        ({"max_instructions": 5}, "needs runtime"),
        ({"max_error": 1e-5, "target": "phone"}, "unknown value 'phone'"),
        ({"max_error": 1e-5, "cpu": "cortex-a76"}, "cpu has no effect"),
        ({"max_error": 1e-5, "images": 5}, "images has no effect"),
        ({"max_accuracy_drop": 0.5, "data": "a.npz"}, "does not record the network"),
    ],
)
def test_words_that_do_not_fit(words, message):
    with pytest.raises(UsageError, match=message):
        assert_parity(TINY, **words)


def test_a_file_without_manifest_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        assert_parity(tmp_path / "no.tflite", max_error=1e-5)
    (tmp_path / "bare.tflite").write_bytes(TINY.read_bytes())
    with pytest.raises(UsageError, match="no manifest beside the file"):
        assert_parity(tmp_path / "bare.tflite", max_error=1e-5)
