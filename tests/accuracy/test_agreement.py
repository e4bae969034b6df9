"""Agreement of segmenters and detectors with their networks: planted differences cost what they must."""

import numpy as np
import pytest

from mocovit_deploy.accuracy.agreement import answer_of, losses
from mocovit_deploy.accuracy.evaluate import mean_loss, paired_drop
from mocovit_deploy.boxes.anchors import RATIOS, SIDE, STRIDES, anchors
from mocovit_deploy.boxes.decode import SCALES

DETECTOR = {
    "kind": "detection",
    "outputs": {"scores": "scores", "boxes": "boxes"},
    "classes": 2,
    "boxes": "raw",
    "image_size": [64, 96],
    "strides": list(STRIDES),
    "ratios": list(RATIOS),
    "anchor_side": SIDE,
    "scales": list(SCALES),
}
SEGMENTER = {"kind": "segmentation", "outputs": {"segmentation": "map"}, "classes": 3, "stride": 8}


def detected(*objects):
    """The answer to an image, in which these anchors hold these classes."""
    count = len(anchors((64, 96)))
    scores = np.full((1, count, 2), -9.0)
    for anchor, label in objects:
        scores[0, anchor, label] = 2.0
    return answer_of(DETECTOR, {"scores": scores, "boxes": np.zeros((1, count, 4))})


def test_objects_lost_changed_and_new():
    two = detected((300, 1), (10, 0))
    others = [
        two,
        detected((300, 1)),
        detected((300, 0), (10, 0)),
        detected((300, 1), (10, 0), (100, 1)),
        detected(),
    ]
    assert losses([two] * 5, others) == pytest.approx([0, 1 - 2 / 3, 1 / 2, 1 - 4 / 5, 1])
    assert losses([detected()], [detected()]) == 0


def test_places_of_another_class():
    scores = np.zeros((1, 2, 2, 3))
    scores[..., 0] = 1.0
    other = scores.copy()
    other[0, 1, 1, 2] = 2.0
    one, two = (answer_of(SEGMENTER, {"map": array}) for array in (scores, other))
    assert losses([one, one], [one, two]).tolist() == [0.0, 0.25]


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_an_answer_that_is_not_finite_loses_all(wrong):
    one = answer_of(SEGMENTER, {"map": np.zeros((1, 2, 2, 3))})
    bad = answer_of(SEGMENTER, {"map": np.full((1, 2, 2, 3), wrong)})
    assert bad is None
    assert losses([one, None], [bad, None]).tolist() == [1.0, 1.0]
    count = len(anchors((64, 96)))
    outputs = {"scores": np.full((1, count, 2), wrong), "boxes": np.zeros((1, count, 4))}
    assert answer_of(DETECTOR, outputs) is None


def test_there_must_be_as_many_answers():
    with pytest.raises(ValueError, match="no images to judge"):
        losses([], [])
    with pytest.raises(ValueError, match="shorter|longer"):
        losses([detected()], [])


def test_whole_losses_have_the_interval_of_accuracies():
    lost = np.array([True] * 3 + [False] * 97)
    wanted = paired_drop(np.ones(100, bool), ~lost)
    assert mean_loss(lost.astype(float)) == wanted


def test_the_interval_covers_fractions_and_widens_with_fewer_images():
    generator = np.random.default_rng(0)
    truth, covered = 2 / 7, 0
    for _ in range(200):
        found = mean_loss(generator.beta(2, 5, 60))
        covered += found.low <= truth <= found.high
    assert covered >= 190
    few, many = (mean_loss(np.full(n, 0.25)) for n in (10, 1000))
    assert few.high > many.high > 0.25 > many.low > few.low


@pytest.mark.parametrize("wrong", [[], [np.nan], [-0.1], [1.1]])
def test_losses_that_are_none(wrong):
    with pytest.raises(ValueError, match="are not from 0 to 1"):
        mean_loss(np.array(wrong))
