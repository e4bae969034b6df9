"""Anchors, decoding and suppression, in numpy: against arithmetic done otherwise, and at the edges."""

import numpy as np
import pytest

from mocovit_deploy.boxes.anchors import RATIOS, SIDE, STRIDES, anchors, anchors_of
from mocovit_deploy.boxes.decode import SCALES, Limits, decode_locations, detections, overlaps, suppressed
from mocovit_deploy.errors import ParityError, UsageError

SIDES = (64, 96)
TASK = {
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


def given(logits, locations=None):
    """Outputs of a file in which every anchor has these logits."""
    priors = anchors(SIDES)
    scores = np.full((1, len(priors), 2), -9.0, np.float32)
    for (anchor, label), value in logits.items():
        scores[0, anchor, label] = value
    return {
        "scores": scores,
        "boxes": np.zeros((1, len(priors), 4), np.float32) if locations is None else locations,
    }


def test_anchors_stand_in_the_order_of_the_maps():
    priors = anchors(SIDES)
    assert priors.shape == ((8 * 12 + 4 * 6 + 2 * 3 + 1 * 2) * 3, 4)
    middle, sides = priors[:, :2] * SIDES, priors[:, 2:] * SIDES
    assert middle[:3].tolist() == [[4, 4]] * 3
    assert middle[3].tolist() == [4, 12]  # the next column
    assert middle[36].tolist() == [12, 4]  # the next row
    assert middle[288].tolist() == [8, 8]  # the next stride
    assert np.allclose(sides[1], 32)
    assert np.allclose(sides[:, 0] / sides[:, 1], np.tile(RATIOS, len(priors) // 3))
    assert np.allclose(np.sqrt(np.prod(sides[::3], axis=1)), np.repeat([32, 64, 128, 256], [96, 24, 6, 2]))


def test_the_last_places_of_a_size_that_no_stride_divides_reach_past_it():
    priors = anchors((40, 100))
    assert len(priors) == 3 * (5 * 13 + 3 * 7 + 2 * 4 + 1 * 2)
    assert priors[:, 1].max() == pytest.approx(1.12)  # the middle of column 3 at stride 32, 112 of 100 pixels


def test_locations_are_told_from_anchors():
    prior = np.array([[0.5, 0.5, 0.2, 0.4]])
    assert np.allclose(decode_locations(np.zeros((1, 4)), prior), [[0.4, 0.3, 0.6, 0.7]])
    moved = decode_locations(np.array([[10.0, -5.0, 5 * np.log(2), 0.0]]), prior)
    assert np.allclose(moved, [[0.5, 0.1, 0.9, 0.5]])


def test_anchors_of_another_size_are_refused():
    with pytest.raises(UsageError, match="3 locations, but 384 anchors: the detector has another image size"):
        decode_locations(np.zeros((3, 4)), anchors_of({**TASK, "image_size": [64, 96]}))


def test_an_object_is_found_where_its_anchor_stands():
    (found,) = detections(TASK, given({(300, 1): 2.0}))
    assert found.label == 1
    assert found.score == pytest.approx(1 / (1 + np.exp(-2)))
    y, x, height, width = anchors(SIDES)[300]
    assert found.box == pytest.approx((y - height / 2, x - width / 2, y + height / 2, x + width / 2))


def test_a_background_image_gives_none():
    assert detections(TASK, given({})) == ()


def test_hundreds_of_objects_end_at_the_most():
    everywhere = {(anchor, anchor % 2): 3.0 for anchor in range(len(anchors(SIDES)))}
    found = detections(TASK, given(everywhere), most_overlap=1.0, most=100)
    assert len(found) == 100
    assert len(detections(TASK, given(everywhere), most_overlap=1.0, most=1000)) == len(anchors(SIDES))
    few = detections(TASK, given(everywhere), most_overlap=0.0, most=1000)
    for label in (0, 1):
        boxes = np.array([one.box for one in few if one.label == label])
        assert all(overlaps(boxes[i], boxes[i + 1 :]).max(initial=0) == 0 for i in range(len(boxes)))


def test_what_overlaps_a_better_box_of_its_class_goes():
    logits = {(300, 1): 2.0, (301, 1): 1.5, (301, 0): 1.0}
    assert [one.label for one in detections(TASK, given(logits), most_overlap=0.3)] == [1, 0]
    assert [one.label for one in detections(TASK, given(logits), most_overlap=0.3, across_classes=True)] == [
        1
    ]
    assert len(detections(TASK, given(logits), most_overlap=1.0)) == 3


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("output", ["scores", "boxes"])
@pytest.mark.parametrize("boxes", ["raw", "decoded"])
def test_what_is_not_finite_is_refused(wrong, output, boxes):
    outputs = given({(300, 1): 2.0})
    outputs[output][0, 7, 1] = wrong
    with pytest.raises(ParityError, match=f"{output} holds NaN or infinity"):
        detections({**TASK, "boxes": boxes}, outputs)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_no_box_that_is_not_finite_is_kept(wrong):
    assert suppressed(np.zeros((2, 4)), np.array([wrong, 0.9]), Limits(0.1, 0.5, 9)) == [1]
    boxes = np.array([[0.0, 0.0, wrong, 1.0], [0.0, 0.0, 1.0, 1.0]])
    assert suppressed(boxes, np.array([0.95, 0.9]), Limits(0.1, 0.5, 9)) == [1]


def test_a_decoded_file_says_the_same():
    raw = given({(300, 1): 2.0, (10, 0): 1.0})
    shares = 1 / (1 + np.exp(-raw["scores"].astype(np.float64)))
    boxes = decode_locations(raw["boxes"][0], anchors(SIDES))[None]
    decoded = detections({**TASK, "boxes": "decoded"}, {"scores": shares, "boxes": boxes})
    wanted = detections(TASK, raw)
    assert [(one.label, one.box) for one in decoded] == [(one.label, one.box) for one in wanted]
    assert [one.score for one in decoded] == pytest.approx([one.score for one in wanted], abs=1e-12)
    assert [one.label for one in wanted] == [1, 0]


def test_a_file_is_decoded_by_the_anchors_that_it_names():
    task = {**TASK, "strides": [16, 32], "ratios": [1.0], "anchor_side": 2.0, "scales": [5.0, 5.0, 2.5, 2.5]}
    scores = np.full((1, 4 * 6 + 2 * 3, 2), -9.0)
    scores[0, 7, 1] = 2.0  # the second row and column at stride 16: centre (24, 24), sides 32
    locations = np.zeros((1, 30, 4))
    locations[0, 7] = (5.0, -5.0, 0.0, 2.5 * np.log(2))  # one anchor down and to the left, twice as wide
    (found,) = detections(task, {"scores": scores, "boxes": locations})
    top, left, bottom, right = found.box
    assert [64 * top, 96 * left, 64 * bottom, 96 * right] == pytest.approx([40, -40, 72, 24])
    with pytest.raises(UsageError, match="30 locations, but 384 anchors"):
        detections(TASK, {"scores": scores, "boxes": locations})


@pytest.mark.parametrize("missing", ["image_size", "strides", "ratios", "anchor_side", "scales"])
def test_a_task_that_does_not_say_enough_is_refused(missing):
    task = {name: value for name, value in TASK.items() if name != missing}
    with pytest.raises(UsageError, match=f"the file's task does not say its {missing}"):
        detections(task, given({(300, 1): 2.0}))


@pytest.mark.parametrize("task", [{}, {"kind": "segmentation"}])
def test_a_file_that_is_no_detector_is_refused(task):
    with pytest.raises(UsageError, match="the file is not a detector"):
        detections(task, {})
