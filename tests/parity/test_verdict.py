import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.golden import Golden
from mocovit_deploy.cli.output import print_notes
from mocovit_deploy.parity.decide import Verdict
from mocovit_deploy.parity.sandboxed import report_from
from mocovit_deploy.parity.tolerance import TOLERANCES, Tolerance
from mocovit_deploy.parity.verdict import (
    HiddenBranch,
    check_file,
    check_predictor,
    judge_outputs,
    not_run,
    predict_golden,
    retold,
    with_hidden,
)
from mocovit_deploy.spec import BATCH, Preprocessing, TensorSpec

GENERATOR = np.random.default_rng(0)
NAMES = ("one", "two", "three")
INPUTS = GENERATOR.normal(size=(3, 1, 4)).astype(np.float32)
GOLDEN = Golden(NAMES, {"x": INPUTS}, {"y": INPUTS * 2})


def artifact(batch=1):
    spec = TensorSpec("x", (batch, 4), "float32")
    return Artifact(Path("f"), "onnx", "fp32", "m", "w", (spec,), (spec,), Preprocessing(), "", "")


class Doubler:
    runtime, arithmetic = "test 1.0", "fp32"

    def __init__(self, spoil=lambda y: y):
        self.spoil = spoil

    def __call__(self, inputs):
        return {"y": self.spoil(inputs["x"] * 2)}


def test_pass():
    report = check_predictor(artifact(), GOLDEN, Doubler())
    assert report.verdict == "pass"
    assert report.tolerance.max_error == 1e-5
    assert (report.runtime, report.arithmetic, report.samples) == ("test 1.0", "fp32", NAMES)


def test_every_flip_is_said_with_its_margin_and_passes_within_the_tolerance(capsys):
    near = np.array([[[3.0, 3.0 + 1e-5, 0.0, 9.9]], [[1.0, 0.0, 8.0, 8.0 - 2e-5]], [[7.0, 0, 0, 0]]])
    golden = Golden(NAMES, {"x": near / 2}, {"y": near})

    def swap(y):
        return np.where(np.isclose(y, 8.0, atol=1e-4), 16.0 - 2e-5 - y, y)

    report = check_predictor(artifact(), golden, Doubler(swap))
    assert report.verdict == "pass"
    assert report.flips == ("y on two: class 3, the original says 2 with a margin of 2.0e-06 of the range",)
    assert report_from(dataclasses.asdict(report)).flips == report.flips
    print_notes("f.onnx", report)
    assert capsys.readouterr().err == f"note: f.onnx: {report.flips[0]}\n"
    assert check_predictor(artifact(), golden, Doubler()).flips == ()


def test_every_reason_is_retold():
    hidden = HiddenBranch("branch", 1e-6, ("branch",), "not run", "there/f.onnx: c")
    half = dataclasses.replace(not_run("there/f.onnx: b"), hidden=(hidden,))
    report = dataclasses.replace(not_run("there/f.onnx: a"), half=half)
    assert "there" not in str(retold(report, lambda text: text.replace("there/", "")).as_json())


@pytest.mark.parametrize("factor", [1 + 1e-3, 0.5, 2, -1, np.nan, np.inf])
def test_fail(factor):
    report = check_predictor(artifact(), GOLDEN, Doubler(lambda y: y * np.float32(factor)))
    assert report.verdict == "fail"
    assert any(name in report.reason for name in NAMES)


def test_a_single_wrong_number_fails():
    def spoil(y):
        y = y.copy()
        y.flat[0] += 1e-3
        return y

    assert check_predictor(artifact(), GOLDEN, Doubler(spoil)).verdict == "fail"


def test_nan_on_both_sides_fails():
    poisoned = Golden(NAMES, {"x": INPUTS}, {"y": np.full_like(INPUTS, np.nan)})
    assert check_predictor(artifact(), poisoned, Doubler(lambda y: y * np.nan)).verdict == "fail"


def test_an_arithmetic_without_a_tolerance_is_not_run():
    report = judge_outputs(artifact(), GOLDEN, {"y": INPUTS * 2}, "test", "fp8")
    assert report.verdict == "not run"
    assert "no tolerance for onnx fp32 computed in fp8" in report.reason


def test_outputs_that_ignore_the_input_prove_nothing():
    dead = Golden(NAMES, {"x": INPUTS}, {"y": np.broadcast_to(np.arange(4.0, dtype=np.float32), (3, 1, 4))})
    report = judge_outputs(artifact(), dead, {"y": dead.outputs["y"]}, "test", "fp32")
    assert report.verdict == "not run"
    assert "hardly depends on the input" in report.reason


def test_an_empty_golden_file_proves_nothing():
    empty = Golden((), {"x": INPUTS[:0]}, {})
    assert judge_outputs(artifact(), empty, {}, "test", "fp32").verdict == "not run"


class WrongInBatches(Doubler):
    def __init__(self, wrong):
        super().__init__()
        self.wrong = wrong

    def __call__(self, inputs):
        result = super().__call__(inputs)
        return {"y": result["y"] + self.wrong} if len(inputs["x"]) > 1 else result


def test_a_free_batch_is_tried_as_one_batch():
    assert check_predictor(artifact(BATCH), GOLDEN, Doubler()).verdict == "pass"
    for wrong in (0.1, np.nan):
        assert check_predictor(artifact(BATCH), GOLDEN, WrongInBatches(wrong)).verdict == "fail"
        assert check_predictor(artifact(1), GOLDEN, WrongInBatches(wrong)).verdict == "pass"


def test_run_golden_stacks_the_samples():
    assert np.array_equal(predict_golden(artifact(), GOLDEN, Doubler())["y"], INPUTS * 2)


class Exporter:
    def __init__(self, ours, platforms=None):
        self.load = lambda _artifact: ours
        self.load_platform = lambda _artifact: platforms


@pytest.mark.parametrize(
    ("ours", "platforms", "verdict"),
    [
        (Doubler(), None, "pass"),
        (Doubler(), Doubler(), "pass"),
        (Doubler(), Doubler(lambda y: y * 2), "fail"),
        (Doubler(lambda y: y * 2), Doubler(), "fail"),
        (Doubler(), Doubler(lambda y: y * np.nan), "fail"),
    ],
)
def test_a_platforms_own_runtime_must_pass_too(ours, platforms, verdict):
    assert check_file(Exporter(ours, platforms), artifact(), GOLDEN).verdict == verdict


def test_reports_are_json_even_with_nan():
    report = check_predictor(artifact(), GOLDEN, Doubler(lambda y: y * np.nan))
    text = json.dumps(report.as_json(), allow_nan=False)
    assert json.loads(text)["outputs"][0]["max_error"] is None
    assert not_run("because").as_json()["verdict"] == "not run"


def test_tolerances_leave_room_but_not_much():
    for key, tolerance in TOLERANCES.items():
        assert tolerance.measured < tolerance.max_error, key
        assert tolerance.max_error <= 100 * tolerance.measured, f"{key}: too loose for what was measured"


def test_a_tolerance_has_no_defaults_and_cannot_change():
    with pytest.raises(TypeError):
        Tolerance()
    with pytest.raises(dataclasses.FrozenInstanceError):
        next(iter(TOLERANCES.values())).max_error = 1


@pytest.mark.parametrize(
    ("verdicts", "expected"), [((), "pass"), (("pass", "not run"), "pass"), (("pass", "fail"), "fail")]
)
def test_what_the_outputs_hide_decides_too(verdicts, expected):
    hidden = tuple(HiddenBranch("a.b", 3e-7, ("a", "a.b"), Verdict(one), f"it is {one}") for one in verdicts)
    report = with_hidden(check_predictor(artifact(), GOLDEN, Doubler()), hidden)
    assert report.verdict == expected
    assert ("it is fail; the outputs hardly show it" in report.reason) == (expected == "fail")
    assert report_from(dataclasses.asdict(report)) == report
