"""The digits data set: the same everywhere, and held-out images share nothing with training images."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec

import numpy as np
import pytest

from examples.digits import data
from mocovit_deploy.errors import MissingToolError
from mocovit_deploy.parity.samples import preprocess
from mocovit_deploy.spec import InputSpec, Preprocessing

needs_training_photographs = pytest.mark.skipif(
    find_spec("skimage") is None, reason="scikit-image is not installed"
)

HELD_OUT_DIGEST = "1df7f74d34d9cead"
TRAINING_DIGEST = "bc9874409e38e4c3"


@pytest.fixture(scope="module")
def held_out() -> data.Split:
    return data.held_out()


def digest(split: data.Split) -> str:
    pictures = [data.picture(split, index, 96) for index in (0, 1, 796, 797, 5578)]
    return hashlib.sha256(np.stack(pictures).tobytes()).hexdigest()[:16]


def test_held_out_images_are_the_committed_ones(held_out: data.Split) -> None:
    assert digest(held_out) == HELD_OUT_DIGEST


@needs_training_photographs
def test_training_images_are_the_committed_ones() -> None:
    assert digest(data.training()) == TRAINING_DIGEST


@needs_training_photographs
def test_no_held_out_digit_is_trained_on(held_out: data.Split) -> None:
    seen = {digit.tobytes() for digit in data.training().digits}
    assert len(seen) == data.TRAINING_DIGITS
    assert not seen & {digit.tobytes() for digit in held_out.digits}


def test_no_held_out_photograph_is_trained_on() -> None:
    assert data.TRAINING_PHOTOGRAPHS[0] != data.HELD_OUT_PHOTOGRAPHS[0]
    assert not set(data.TRAINING_PHOTOGRAPHS[2]) & set(data.HELD_OUT_PHOTOGRAPHS[2])


def test_there_are_enough_held_out_images_and_every_class_has_its_share(held_out: data.Split) -> None:
    labels = held_out.labels[np.arange(data.HELD_OUT_IMAGES) % len(held_out.labels)]
    assert len(labels) >= 5000
    counts = np.bincount(labels, minlength=data.CLASSES)
    assert len(counts) == data.CLASSES
    assert counts.min() >= 0.9 * len(labels) / data.CLASSES
    assert counts.max() <= 1.1 * len(labels) / data.CLASSES


def test_an_image_depends_on_its_index_alone(held_out: data.Split) -> None:
    spec = InputSpec(size=32)
    together, labels = data.batch(held_out, range(6), spec)
    alone, label = data.batch(held_out, [4], spec)
    np.testing.assert_array_equal(together[4], alone[0])
    assert labels[4] == label[0] == held_out.labels[4]
    assert not np.array_equal(
        data.picture(held_out, 4, 32), data.picture(held_out, 4 + len(held_out.labels), 32)
    )


def test_batches_are_preprocessed_as_the_network_expects(held_out: data.Split) -> None:
    how = Preprocessing(mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0), colour_order="BGR")
    images, labels = data.batch(held_out, [0, 9], InputSpec(size=40, preprocessing=how))
    assert images.shape == (2, 3, 40, 40)
    assert images.dtype == np.float32
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(images[1], preprocess(data.picture(held_out, 9, 40), how))


def test_every_digit_stands_out_from_its_photograph(held_out: data.Split) -> None:
    """The same background with the digit in it and, all ink removed, without."""
    blank = data.Split(np.zeros_like(held_out.digits), held_out.labels, held_out.photographs, held_out.seed)
    for index in range(40):
        drawn = data.picture(held_out, index, 96).astype(int)
        bare = data.picture(blank, index, 96).astype(int)
        changed = np.abs(drawn - bare).max(axis=-1)
        assert (changed > 20).mean() > 0.01
        assert (changed == 0).mean() > 0.2


def test_clutter_fades_the_photograph_and_leaves_the_digit(held_out: data.Split) -> None:
    plain, half, full = (data.picture(held_out, 3, 96, clutter) for clutter in (0.0, 0.5, 1.0))
    blank = data.Split(np.zeros_like(held_out.digits), held_out.labels, held_out.photographs, held_out.seed)
    assert data.picture(blank, 3, 96, 0.0).std(axis=(0, 1)).max() == 0
    assert plain.std() > 0
    assert full.std() > half.std()
    np.testing.assert_array_equal(full, data.picture(held_out, 3, 96))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "TRAINING_PHOTOGRAPHS", ("no_such_package", "data", ("a.png",)))
    monkeypatch.setitem(data.PIP_NAMES, "no_such_package", "no-such-package")
    with pytest.raises(MissingToolError, match="pip install no-such-package"):
        data.training()


@pytest.mark.parametrize("under", [0, 20, 127, 128, 240, 255])
def test_ink_always_differs_from_what_is_under_it(under: int) -> None:
    generator = np.random.default_rng(0)
    for _ in range(200):
        ink = data.ink_over(under, generator)
        assert all(0 <= channel <= 255 for channel in ink)
        assert max(abs(channel - under) for channel in ink) >= data.CONTRAST[0] - data.TINT


def test_pictures_for_a_contract_are_the_held_out_ones(held_out: data.Split) -> None:
    spec = InputSpec(size=32)
    pictures, labels = data.held_out_pictures(spec, 3)
    tensors, same = data.batch(held_out, range(3), spec)
    assert np.array_equal(np.stack([preprocess(one, spec.preprocessing) for one in pictures]), tensors)
    assert np.array_equal(labels, same)
