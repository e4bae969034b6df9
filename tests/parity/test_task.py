"""The error of a segmenter's or a detector's file in terms of its task: planted errors give known figures."""

import dataclasses
import json

import numpy as np
import pytest

from mocovit_deploy.artifacts.golden import Golden
from mocovit_deploy.boxes.anchors import RATIOS, SIDE, STRIDES, anchors
from mocovit_deploy.boxes.decode import SCALES, Detection
from mocovit_deploy.errors import UsageError
from mocovit_deploy.parity.task import matched, task_difference, task_difference_from

SIDES = (64, 96)
DETECTOR = {
    "kind": "detection",
    "outputs": {"scores": "scores", "boxes": "boxes"},
    "classes": 2,
    "boxes": "raw",
    "image_size": list(SIDES),
    "strides": list(STRIDES),
    "ratios": list(RATIOS),
    "anchor_side": SIDE,
    "scales": list(SCALES),
}
SEGMENTER = {"kind": "segmentation", "outputs": {"segmentation": "map"}, "classes": 3, "stride": 8}


def detected(*objects, samples=2):
    """A golden file, in whose every sample the anchors of `objects` hold one of these classes."""
    count = len(anchors(SIDES))
    scores = np.full((samples, 1, count, 2), -9.0, np.float32)
    for anchor, label in objects:
        scores[:, 0, anchor, label] = 2.0
    return Golden(
        tuple(map(str, range(samples))),
        {},
        {"scores": scores, "boxes": np.zeros((samples, 1, count, 4), np.float32)},
    )


def copied(golden):
    return {name: array.copy() for name, array in golden.outputs.items()}


def test_the_same_outputs_are_the_same_objects():
    golden = detected((300, 1), (10, 0))
    found = task_difference(DETECTOR, golden, copied(golden))
    assert (found.objects, found.found_again, found.others) == (4, 4, 0)
    assert found.max_box_error_px == found.mean_box_error_px == found.max_score_error == 0.0
    assert found.text.startswith("4 of 4 objects found again, 0 others; boxes within 0 px")


def test_a_moved_box_is_off_by_its_pixels():
    golden = detected((300, 1))
    outputs = copied(golden)
    _, _, height, width = anchors(SIDES)[300]
    outputs["boxes"][1, 0, 300, 1] = 10 * 3.0 / (width * 96)  # three pixels to the right, on one sample
    found = task_difference(DETECTOR, golden, outputs)
    assert found.max_box_error_px == pytest.approx(3.0, abs=1e-5)
    assert found.mean_box_error_px == pytest.approx(1.5, abs=1e-5)
    outputs["boxes"][1, 0, 300, 0] = 10 * 0.9  # nearly its own height: it overlaps no longer
    found = task_difference(DETECTOR, golden, outputs)
    assert (found.found_again, found.others) == (1, 1)
    assert height > 0


def test_lost_changed_and_new_objects_are_counted():
    golden = detected((300, 1), (10, 0))
    outputs = copied(golden)
    outputs["scores"][:, 0, 300] = (2.0, -9.0)  # the class of one object changes
    outputs["scores"][0, 0, 10, 0] = -9.0  # the other is lost on one sample
    outputs["scores"][0, 0, 100, 1] = 1.0  # and a new one found there
    found = task_difference(DETECTOR, golden, outputs)
    assert (found.objects, found.found_again, found.others) == (4, 1, 3)


def test_an_object_at_the_lowest_score_is_not_lost_by_rounding():
    golden = detected((300, 1))
    golden.outputs["scores"][:, 0, 10, 0] = np.log(0.0501 / 0.9499)
    outputs = copied(golden)
    outputs["scores"][:, 0, 10, 0] -= 0.01
    found = task_difference(DETECTOR, golden, outputs)
    assert (found.objects, found.found_again, found.others) == (4, 4, 0)


def test_no_objects_are_said():
    golden = detected()
    found = task_difference(DETECTOR, golden, copied(golden))
    assert (found.objects, found.others, found.max_box_error_px) == (0, 0, None)
    assert found.text.startswith("no objects with scores of at least 0.05")


def test_hundreds_of_objects_end_at_the_most():
    generator = np.random.default_rng(0)
    golden = detected()
    golden.outputs["scores"][:] = generator.normal(2.0, 1.0, golden.outputs["scores"].shape)
    noise = {
        name: array + 1e-4 * generator.standard_normal(array.shape) for name, array in copied(golden).items()
    }
    found = task_difference(DETECTOR, golden, noise)
    assert 20 < found.objects <= 200
    assert found.found_again >= 0.95 * found.objects
    assert found.max_box_error_px < 0.05


def test_a_match_is_of_one_class_and_once():
    one, same = Detection(1, 0.9, (0.0, 0.0, 1.0, 1.0), 0), Detection(1, 0.8, (0.0, 0.0, 1.0, 0.9), 0)
    other = Detection(0, 0.9, (0.0, 0.0, 1.0, 1.0), 0)
    assert matched([one], [other]) == []
    assert matched([one, same], [same]) == [(one, same)]
    assert matched([one], [same, one]) == [(one, one)]
    assert matched([], [one]) == matched([one], []) == []


def test_places_of_a_segmenter():
    scores = np.zeros((1, 1, 2, 2, 3))
    scores[0, 0, ..., 0] = 1.0
    scores[0, 0, 1, 1, 2] = 2.0  # three places of class 0, one of class 2
    golden = Golden(("a",), {}, {"map": scores})
    same = task_difference(SEGMENTER, golden, {"map": scores + 0.1})
    assert (same.same_class, same.mean_iou) == (1.0, 1.0)
    other = scores.copy()
    other[0, 0, 0, 0, 2] = 3.0
    found = task_difference(SEGMENTER, golden, {"map": other})
    assert found.same_class == 0.75
    assert found.mean_iou == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert found.text == "75.00% of the places get the same class, mean IoU 0.5833"


@pytest.mark.parametrize("task", [None, {}, {"kind": "classification"}])
def test_other_networks_have_none(task):
    golden = detected()
    assert task_difference(task, golden, copied(golden)) is None


def test_what_is_not_finite_has_none_as_it_fails_anyway():
    golden = detected((300, 1))
    outputs = copied(golden)
    outputs["boxes"][0, 0, 5, 1] = np.nan
    assert task_difference(DETECTOR, golden, outputs) is None


@pytest.mark.parametrize(
    "change",
    [
        {"outputs": {"scores": "nothing", "boxes": "boxes"}},
        {"outputs": ["scores"]},
        {"strides": [8, 16, 32]},
        {"strides": [0]},
        {"strides": "many"},
        {"image_size": [1 << 40, 1 << 40]},
        {"image_size": 64},
        {"scales": []},
        {"anchor_side": "wide"},
    ],
)
def test_a_task_that_does_not_fit_is_refused(change):
    golden = detected((300, 1))
    with pytest.raises(UsageError):
        task_difference({**DETECTOR, **change}, golden, copied(golden))


def test_it_comes_back_from_plain_data():
    golden = detected((300, 1))
    for task, outputs in (
        (DETECTOR, golden),
        (SEGMENTER, Golden(("a",), {}, {"map": np.zeros((1, 1, 2, 2, 3))})),
    ):
        found = task_difference(task, outputs, copied(outputs))
        assert task_difference_from(json.loads(json.dumps(dataclasses.asdict(found)))) == found
    assert task_difference_from(None) is None
