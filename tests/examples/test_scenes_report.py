"""The command's mistakes are one line; decoding of answers, and outputs that are no numbers."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pycocotools", reason="pycocotools is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from examples.digits.data import held_out
from examples.scenes import data, report, train
from examples.scenes.answers import answers, classes_of
from examples.scenes.networks import NETWORKS, network_named
from mocovit_deploy.cli.runner import run_command
from mocovit_deploy.errors import AccuracyError, ParityError
from mocovit_deploy.spec import Preprocessing

SEGMENTATION = {"kind": "segmentation", "outputs": {"segmentation": "found"}, "stride": 8}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["mocovit_0_5_retinane", "tflite:fp32"], "did you mean 'mocovit_0_5_retinanet'"),
        (["mocovit_0_5_retinanet", "tflite"], "is not FORMAT:PRECISION"),
        (["mocovit_0_5_retinanet", "tflite:fp32", "--scenes", "9999"], "only 1000 held-out scenes"),
    ],
)
def test_mistakes_are_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(report.PROGRAM, report.command, words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_a_pattern_without_a_network_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(train.PROGRAM, train.command, ["resnet*"]) == 2
    assert "no network is like 'resnet*'" in capsys.readouterr().err


def test_the_networks_are_of_three_kinds_and_have_their_classes() -> None:
    assert {one.kind for one in NETWORKS} == {"detection", "instances", "segmentation"}
    assert network_named("mocovit_0_5_seg").classes == 11
    assert network_named("ghostnet_0_5_yolact").classes == 10
    assert len({one.checkpoint for one in NETWORKS}) == len(NETWORKS)


def test_the_class_of_a_pixel_is_that_of_the_enlarged_scores() -> None:
    scores = np.zeros((2, 2, 11), np.float32)
    scores[:, 1, 4] = 9.0
    found = classes_of(scores, SEGMENTATION, 16)
    assert (found[:, :4] == 0).all()
    assert (found[:, 12:] == 4).all()


def test_outputs_that_are_no_numbers_are_no_answer() -> None:
    scenes = data.scenes(held_out(), 1, 16)
    bad = {"found": np.full((1, 2, 2, 11), np.nan, np.float32)}
    with pytest.raises((AccuracyError, ParityError), match="found holds NaN or infinity"):
        answers(lambda _: bad, SEGMENTATION, scenes, Preprocessing())
