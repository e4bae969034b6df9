"""Anchors, decoding and suppression, in numpy: against arithmetic done otherwise, and at the edges."""

import numpy as np
import pytest

from mocovit_deploy.boxes.anchors import RATIOS, STRIDES, anchors, anchors_of
from mocovit_deploy.boxes.decode import decode_locations, detections, overlaps, suppressed
from mocovit_deploy.errors import UsageError

SIDES = (64, 96)
TASK = {
    "kind": "detection",
    "outputs": {"scores": "scores", "boxes": "boxes"},
    "classes": 2,
    "boxes": "raw",
    "image_size": list(SIDES),
    "strides": list(STRIDES),
    "ratios": list(RATIOS),
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


def test_nan_is_never_an_object():
    assert detections(TASK, given({(300, 1): np.nan})) == ()
    assert suppressed(np.zeros((2, 4)), np.array([np.nan, 0.9]), 0.1, 0.5, 9) == [1]


def test_a_decoded_file_says_the_same():
    raw = given({(300, 1): 2.0, (10, 0): 1.0})
    shares = 1 / (1 + np.exp(-raw["scores"]))
    boxes = decode_locations(raw["boxes"][0], anchors(SIDES))[None]
    decoded = detections({**TASK, "boxes": "decoded"}, {"scores": shares, "boxes": boxes})
    assert decoded == pytest.approx(detections(TASK, raw)) or [(one.label, one.box) for one in decoded] == [
        (one.label, one.box) for one in detections(TASK, raw)
    ]


@pytest.mark.parametrize("task", [{}, {"kind": "segmentation"}])
def test_a_file_that_is_no_detector_is_refused(task):
    with pytest.raises(UsageError, match="the file is not a detector"):
        detections(task, {})
