"""Scenes: the same everywhere, with a truth that does not contradict itself, and no leak from training."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
pytest.importorskip("skimage", reason="scikit-image is not installed")

from examples.digits.data import Split, held_out, training
from examples.scenes import data
from mocovit_deploy.spec import InputSpec

SIZE = 64


@pytest.fixture(scope="module")
def split() -> Split:
    return held_out()


@pytest.fixture(scope="module")
def some(split: Split) -> tuple[data.Scene, ...]:
    return data.scenes(split, 40, SIZE)


def test_a_scene_depends_on_nothing_but_split_index_and_size(some: tuple[data.Scene, ...]) -> None:
    again = data.scene(held_out(), 7, SIZE)
    assert np.array_equal(again.picture, some[7].picture)
    assert np.array_equal(again.owners, some[7].owners)
    assert not np.array_equal(data.scene(held_out(), 8, SIZE).picture, again.picture)
    total = hashlib.sha256(b"".join(one.picture.tobytes() + one.owners.tobytes() for one in some))
    assert total.hexdigest()[:16] == "2e474c5ba2562788"


def test_boxes_masks_and_classes_say_the_same(some: tuple[data.Scene, ...]) -> None:
    for one in some:
        assert 1 <= len(one.labels) <= data.DIGITS[1]
        assert one.masks.sum(axis=0).max() == 1, "a pixel belongs to one digit"
        for label, box, mask in zip(one.labels, one.boxes, one.masks, strict=True):
            top, left, bottom, right = box.astype(int)
            inside = np.zeros_like(mask)
            inside[top:bottom, left:right] = True
            assert mask.any()
            assert not (mask & ~inside).any()
            assert mask[top].any()
            assert mask[bottom - 1].any()
            assert mask[:, left].any()
            assert mask[:, right - 1].any()
            assert (one.classes[mask] == label + 1).all()
        assert (one.classes[one.owners == 0] == 0).all()


def test_digits_are_seen_where_the_truth_says(split: Split, some: tuple[data.Scene, ...]) -> None:
    """The ink differs from what was under it, which the same scene without digits shows."""
    generator = np.random.default_rng((split.seed, data.SCENES_SEED, 3))
    bare = np.asarray(data.background(split.photographs, SIZE, generator), int)
    changed = np.abs(some[3].picture.astype(int) - bare).max(axis=-1)
    assert changed[some[3].owners > 0].mean() > 50
    assert changed[some[3].owners == 0].mean() < 20


def test_most_scenes_hold_several_digits_and_some_overlap(some: tuple[data.Scene, ...]) -> None:
    assert np.mean([len(one.labels) for one in some]) > 2.5
    assert len(np.unique(np.concatenate([one.labels for one in some]))) == data.CLASSES
    boxes = [one.boxes for one in some if len(one.boxes) > 1]
    assert any((np.minimum(b[0, 2:], b[1, 2:]) > np.maximum(b[0, :2], b[1, :2])).all() for b in boxes)


def test_training_and_held_out_scenes_share_nothing() -> None:
    ours, theirs = training(), held_out()
    assert len(ours.digits) + len(theirs.digits) == 1797
    sizes = {one.tobytes() for one in ours.photographs} & {one.tobytes() for one in theirs.photographs}
    assert not sizes


def test_calibration_images_are_training_scenes() -> None:
    pictures, labels = data.training_pictures(InputSpec(size=SIZE), 3)
    assert pictures.shape == (3, SIZE, SIZE, 3)
    assert np.array_equal(pictures[2], data.scene(training(), 2, SIZE).picture)
    assert labels.shape == (3,)
