from pathlib import Path

import numpy as np
import pytest

from mocovit_deploy.accuracy.breakdown import ClassResult, Confusion, Flip, break_down
from mocovit_deploy.accuracy.evaluate import NO_ANSWER
from mocovit_deploy.accuracy.judge import drop_error
from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.cli.accuracy import accuracy_text
from mocovit_deploy.spec import Preprocessing

LABELS = np.array([0, 0, 1, 1, 2])
ORIGINAL = np.array([0, 0, 1, 2, 2])
FILE = np.array([0, 1, 1, 2, 1])
NAMES = ("a", "b", "c", "d", "e")
FILE_OF_TWO = Artifact(
    path=Path("net.tflite"),
    format="tflite",
    recipe="fp32",
    model="net",
    weights="",
    inputs=(),
    outputs=(),
    preprocessing=Preprocessing(),
    sha256="",
    golden_sha256="",
    source={"options": {"labels": ["cat", "dog"]}},
)


@pytest.fixture
def found():
    return break_down(LABELS, ORIGINAL, FILE, NAMES)


def test_by_class_by_pair_and_by_image(found):
    assert found.by_class == (
        ClassResult(label=0, images=2, right=1, reference_right=2),
        ClassResult(label=1, images=2, right=1, reference_right=1),
        ClassResult(label=2, images=1, right=0, reference_right=1),
    )
    assert found.confusions == (
        Confusion(label=0, named=1, images=1, reference_images=0),
        Confusion(label=1, named=2, images=1, reference_images=1),
        Confusion(label=2, named=1, images=1, reference_images=0),
    )
    assert found.flips == (
        Flip(image="b", label=0, reference=0, named=1),
        Flip(image="e", label=2, reference=2, named=1),
    )
    assert found.evaluation.accuracy == 0.4
    assert set(found.as_json()) >= {"accuracy", "by_class", "confusions", "flips", "drop"}


def test_answers_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="argument"):
        break_down(LABELS, ORIGINAL, FILE[:4], NAMES)


def test_the_table_says_what_was_lost(found):
    text = accuracy_text([(FILE_OF_TWO, found)])
    assert "net.tflite       5  40.00%    80.00%  +40.00" in text
    assert "  cat: 1 of 2 right, the original 2" in text
    assert "  class 2 called dog: 1, by the original 0" in text
    assert "  e (class 2): dog, the original says class 2" in text


def test_the_same_answers_need_no_details():
    text = accuracy_text([(FILE_OF_TWO, break_down(LABELS, ORIGINAL, ORIGINAL, NAMES))])
    assert len(text.splitlines()) == 3


def test_what_may_be_lost_is_judged_by_the_interval(found):
    path = Path("net.tflite")
    assert drop_error(path, found, None) is None
    assert drop_error(path, found, 100.0) is None
    assert "loses 40.00 points of accuracy, and up to" in str(drop_error(path, found, 10.0))
    same = break_down(LABELS, ORIGINAL, ORIGINAL, NAMES)
    assert "more images make the interval narrower" in str(drop_error(path, same, 10.0))


def test_an_image_without_an_answer_is_an_error():
    silent = break_down(LABELS, ORIGINAL, np.where(LABELS == 2, NO_ANSWER, ORIGINAL), NAMES)
    assert "returns NaN or infinity on 1 images" in str(drop_error(Path("net.tflite"), silent, 1.0))
    assert "no answer, the original says class 2" in accuracy_text([(FILE_OF_TWO, silent)])
