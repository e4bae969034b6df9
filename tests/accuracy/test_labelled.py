"""Labelled images of the user's own: taken as described, or refused in one line."""

from __future__ import annotations

import dataclasses
import zipfile

import numpy as np
import pytest

from mocovit_deploy.accuracy import labelled
from mocovit_deploy.accuracy.labelled import read_labelled
from mocovit_deploy.errors import MissingToolError, UsageError
from mocovit_deploy.parity.samples import preprocess
from mocovit_deploy.spec import PIXELS as UNPREPARED
from mocovit_deploy.spec import InputSpec, Preprocessing

IMAGE = InputSpec(size=4, preprocessing=Preprocessing(1 / 255, (0.5,) * 3, (0.25,) * 3))
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), np.uint8)
LABELS = np.arange(6)

FUNCTIONS = """
import numpy as np
from mocovit_deploy.errors import MissingToolError

def zeros(image, images):
    count = 6 if images is None else images
    return np.zeros((count, image.channels, image.size, image.size), np.float32), np.arange(count)

def broken(image, images):
    return 1 / 0

def alone(image, images):
    return np.zeros(3)

def nothing():
    return None

def absent(image, images):
    raise MissingToolError("pillow is not installed")
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(FUNCTIONS)
    np.savez("good.npz", images=PIXELS, labels=LABELS)
    return tmp_path


@pytest.mark.usefixtures("here")
def test_pixels_are_preprocessed_as_the_network_was_trained():
    found = read_labelled("good.npz", IMAGE, 4)
    assert found.labels.tolist() == [0, 1, 2, 3]
    tensors = found.tensors(IMAGE.preprocessing)(1, 3)
    assert tensors.shape == (2, 3, 4, 4)
    assert np.array_equal(tensors[0], preprocess(PIXELS[1], IMAGE.preprocessing))


@pytest.mark.usefixtures("here")
def test_a_network_of_pixels_takes_no_tensors():
    pixels = dataclasses.replace(IMAGE, dtype="uint8", preprocessing=UNPREPARED)
    assert read_labelled("good.npz", pixels, 2).labels.tolist() == [0, 1]
    with pytest.raises(UsageError, match=r"float32 .*, not uint8 \(n, 4, 4, 3\)$"):
        read_labelled("mine.py:zeros", pixels, 2)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("name", ["mine.py:zeros", "mine:zeros"])
def test_a_function_is_told_what_the_network_takes_and_how_many_are_wanted(name):
    assert read_labelled(name, IMAGE, None).images.shape == (6, 3, 4, 4)
    found = read_labelled(name, IMAGE, 2)
    assert found.labels.tolist() == [0, 1]
    assert found.tensors(IMAGE.preprocessing)(0, 2).dtype == np.float32


def arrays(**changes):
    return {"images": PIXELS, "labels": LABELS, **changes}


BAD = {
    "half the images": (arrays(images=PIXELS[:3]), "3 images for 6 labels"),
    "no images": (arrays(images=PIXELS[:0], labels=LABELS[:0]), "labels are int64 (0), not (n,)"),
    "another size": (arrays(images=PIXELS[:, :2]), "images are uint8 (6, 2, 4, 3), not uint8 (n, 4, 4, 3)"),
    "channels first": (arrays(images=PIXELS.transpose(0, 3, 1, 2)), "images are uint8 (6, 3, 4, 4)"),
    "float pixels": (arrays(images=PIXELS.astype(np.float32)), "or float32 (n, 3, 4, 4)"),
    "wide floats": (arrays(images=np.zeros((6, 3, 4, 4))), "images are float64"),
    "one image": (arrays(images=PIXELS[0]), "images are uint8 (4, 4, 3)"),
    "probabilities": (arrays(labels=np.zeros((6, 10))), "labels are float64 (6, 10)"),
    "a label below 0": (arrays(labels=LABELS - 1), "a label is -1"),
    "pickled": (arrays(images=np.array([object()])), "holds no arrays `images` and `labels`"),
    "other names": ({"x": PIXELS, "y": LABELS}, "holds no arrays `images` and `labels`"),
}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("case", BAD)
def test_arrays_that_do_not_fit_are_refused(case):
    given, message = BAD[case]
    np.savez("bad.npz", **given)
    with pytest.raises(UsageError) as caught:
        read_labelled("bad.npz", IMAGE, None)
    assert message in str(caught.value)
    assert str(caught.value).startswith("bad.npz: ")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no.npz", "no.npz: no such file"),
        ("no.py:zeros", "no.py: no such file"),
        ("mine.py:zeroes", "did you mean 'zeros'"),
        ("mine.py", "not a folder, module:function, file.py:function or a file ending in .npz"),
        ("mine.py:broken", "does not return .images, labels.: ZeroDivisionError"),
        ("mine.py:alone", "does not return .images, labels.: ValueError"),
        ("mine.py:nothing", "does not return .images, labels.: TypeError"),
    ],
)
@pytest.mark.usefixtures("here")
def test_what_is_not_there_or_fails(name, message):
    with pytest.raises(UsageError, match=message):
        read_labelled(name, IMAGE, None)


@pytest.mark.usefixtures("here")
def test_an_error_of_ours_keeps_its_kind():
    with pytest.raises(MissingToolError):
        read_labelled("mine.py:absent", IMAGE, None)


@pytest.mark.usefixtures("here")
def test_more_images_than_there_are():
    with pytest.raises(UsageError, match="holds only 6 of 7 images"):
        read_labelled("good.npz", IMAGE, 7)


def test_damaged_archives(here, monkeypatch):
    whole = (here / "good.npz").read_bytes()
    for number, data in enumerate((b"", b"PK", whole[: len(whole) // 2], whole[:100] + whole[150:])):
        (here / f"{number}.npz").write_bytes(data)
        with pytest.raises(UsageError, match="holds no arrays"):
            read_labelled(f"{number}.npz", IMAGE, None)
    with zipfile.ZipFile("bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", bytes(100_000))
    monkeypatch.setattr(labelled, "LARGEST_BYTES", 99_999)
    with pytest.raises(UsageError, match="unpacks to 100,000 bytes"):
        read_labelled("bomb.npz", IMAGE, None)
