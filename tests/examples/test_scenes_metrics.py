"""AP and mean IoU on known cases, against COCOeval itself, and the interval of a drop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("pycocotools", reason="pycocotools is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from examples.digits.data import held_out
from examples.scenes import data, judge, metrics
from mocovit_deploy.boxes.decode import Detection

SIZE = 64
SCENES = 24


@pytest.fixture(scope="module")
def scenes() -> tuple[data.Scene, ...]:
    return data.scenes(held_out(), SCENES, SIZE)


def answered(scenes: tuple[data.Scene, ...], moved: float = 0.0, seed: int = 0) -> metrics.Results:
    """The true objects, each moved by normal noise of `moved` pixels, some with another class or a copy."""
    generator = np.random.default_rng(seed)
    found: metrics.Results = []
    for image, one in enumerate(scenes):
        boxes = (one.boxes + generator.normal(size=one.boxes.shape) * moved) / SIZE
        labels = [int(label) if generator.random() > moved / 10 else 3 for label in one.labels]
        objects = [
            Detection(label, float(generator.random()), tuple(box), 0)
            for label, box in zip(labels, boxes.tolist(), strict=True)
        ]
        masks = [np.roll(mask, round(moved), axis=1) for mask in one.masks]
        found += metrics.as_results(image, objects, masks, SIZE)
    return found


@pytest.mark.parametrize("what", [metrics.BOXES, metrics.MASKS])
def test_the_truth_itself_has_an_ap_of_one(scenes: tuple[data.Scene, ...], what: str) -> None:
    truth = metrics.coco_truth(scenes)
    assert metrics.average_precision(metrics.matched(truth, answered(scenes), what)) == pytest.approx(1)


@pytest.mark.parametrize("what", [metrics.BOXES, metrics.MASKS])
@pytest.mark.parametrize("moved", [1.0, 2.0])
def test_ap_is_that_of_coco(scenes: tuple[data.Scene, ...], what: str, moved: float) -> None:
    truth, found = metrics.coco_truth(scenes), answered(scenes, moved)
    judged = metrics.coco_eval(truth, found, what)
    judged.accumulate()
    precision = judged.eval["precision"]
    wanted = precision[precision > -1].mean()
    assert 0.002 < wanted < 0.95
    assert metrics.average_precision(metrics.matched(truth, found, what)) == pytest.approx(wanted, abs=1e-9)


def test_a_weight_of_two_counts_as_two_images(scenes: tuple[data.Scene, ...]) -> None:
    found = metrics.matched(metrics.coco_truth(scenes), answered(scenes, 2.0), metrics.BOXES)
    weights = np.ones(SCENES)
    weights[:5] = 2
    twice = (*scenes, *scenes[:5])
    results = answered(scenes, 2.0)
    results += [one | {"image_id": SCENES + one["image_id"]} for one in results if one["image_id"] < 5]
    of_both = metrics.matched(metrics.coco_truth(twice), results, metrics.BOXES)
    assert metrics.average_precision(found, weights) == pytest.approx(
        metrics.average_precision(of_both), abs=2e-3
    )


def test_nothing_found_is_no_precision(scenes: tuple[data.Scene, ...]) -> None:
    truth = metrics.coco_truth(scenes)
    assert metrics.average_precision(metrics.matched(truth, [], metrics.BOXES)) == 0


def test_mean_iou_by_hand(scenes: tuple[data.Scene, ...]) -> None:
    right = [one.classes for one in scenes]
    assert metrics.mean_iou(metrics.confusion(scenes, right)) == 1
    owners = np.zeros((4, 4), np.uint8)
    owners[:2] = 1
    one = replace(scenes[0], picture=np.zeros((4, 4, 3), np.uint8), owners=owners, labels=np.array([6]))
    said = np.zeros((4, 4), np.uint8)
    said[0] = 7
    # Background: 8 right of 12; six: 4 right of 8.
    assert metrics.mean_iou(metrics.confusion([one], [said])) == pytest.approx((8 / 12 + 4 / 8) / 2)


def test_a_drop_is_found_and_none_where_there_is_none(
    scenes: tuple[data.Scene, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "DRAWS", 60)
    exact, moved = (
        judge.figures("instances", scenes, found) for found in (answered(scenes), answered(scenes, 2.0))
    )
    for name in ("box AP", "mask AP"):
        lost = metrics.drop(exact[name], moved[name])
        assert 0 < lost.low < lost.value < lost.high < 1
        same = metrics.drop(exact[name], exact[name])
        assert (same.value, same.low, same.high) == (0, 0, 0)
    segmenter = judge.figures("segmentation", scenes, [one.classes for one in scenes])
    assert segmenter["mean IoU"].value == 1
