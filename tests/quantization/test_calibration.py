"""Calibration images: taken as described, or refused in one line."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from mocovit_deploy.errors import UsageError
from mocovit_deploy.parity.samples import preprocess
from mocovit_deploy.quantization.calibration import read_calibration
from mocovit_deploy.quantization.calibration_set import brand_of
from mocovit_deploy.spec import CalibrationRequest, InputSpec

IMAGE = InputSpec(size=8)
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)

FUNCTIONS = """
import numpy as np

def pictures(image, images):
    return np.random.default_rng(1).integers(0, 256, (images, image.size, image.size, 3), np.uint8)

def labelled(image, images):
    return pictures(image, images), np.zeros(images)

def mismatched(image, images):
    return pictures(image, images), np.zeros(2)

def broken(image, images):
    return 1 / 0

def nothing(image, images):
    return None
"""


def calibration(source, images=6, image=IMAGE, strict=False, names=("image",)):
    request = CalibrationRequest(str(source), images, strict)
    return read_calibration(
        request, image, names, random=lambda most: [np.random.rand(min(most, 4), *image.shape)]
    )


@pytest.fixture
def folder(tmp_path):
    for name, pixels in zip("abcdef", PIXELS, strict=True):
        (tmp_path / name).mkdir()
        Image.fromarray(pixels).save(tmp_path / name / f"{name}.png")
    return tmp_path


def test_a_folder_is_read_evenly_and_preprocessed(folder):
    found = calibration(folder, images=3)
    assert found.inputs["image"].shape == (3, 1, 3, 8, 8)
    for run, place in zip(found.inputs["image"], (0, 2, 4), strict=True):
        assert np.array_equal(run[0], preprocess(PIXELS[place], IMAGE.preprocessing))
    assert found.notes == ("only 3 calibration images; 100 or more give steadier ranges",)
    assert found.sha256 == calibration(folder, images=3).sha256 != calibration(folder, images=4).sha256


def test_the_middle_of_an_image_is_taken_and_grey_becomes_colour(tmp_path):
    wide = np.zeros((8, 24), np.uint8)
    wide[:, 8:16] = PIXELS[0, :, :, 0]
    Image.fromarray(wide).save(tmp_path / "wide.png")
    (run,) = calibration(tmp_path).inputs["image"]
    expected = np.repeat(PIXELS[0, :, :, :1], 3, axis=2)
    assert np.array_equal(run[0], preprocess(expected, IMAGE.preprocessing))


def test_a_file_that_is_no_image_is_left_out_and_named_or_stops(folder):
    (folder / "a" / "notes.txt").write_text("not an image")
    truncated = io.BytesIO()
    Image.fromarray(np.tile(PIXELS[0], (8, 8, 1))).save(truncated, "PNG")
    (folder / "b" / "half.png").write_bytes(truncated.getvalue()[:2000])
    found = calibration(folder, images=6)
    assert len(found) == 6
    assert "a/notes.txt (not an image" in found.notes[0]
    with pytest.raises(UsageError, match=r"notes.txt: not an image.*leave out --strict"):
        calibration(folder, images=8, strict=True)


@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_an_npz_holds_pixels_or_tensors(tmp_path, kind):
    tensors = np.stack([preprocess(one, IMAGE.preprocessing) for one in PIXELS])
    np.savez(tmp_path / "c.npz", images=PIXELS if kind == "uint8" else tensors, labels=np.arange(6))
    assert np.array_equal(calibration(tmp_path / "c.npz").inputs["image"][:, 0], tensors)


def test_a_network_without_an_image_is_calibrated_by_input_names(tmp_path):
    np.savez(tmp_path / "c.npz", left=np.random.rand(5, 1, 4), right=np.ones((5, 1, 2), np.int64))
    found = calibration(tmp_path / "c.npz", image=None, names=("left", "right"))
    assert {name: array.shape for name, array in found.inputs.items()} == {
        "left": (5, 1, 4),
        "right": (5, 1, 2),
    }
    with pytest.raises(UsageError, match="takes left, right, not one image; calibrate it from an .npz"):
        calibration(tmp_path, image=None, names=("left", "right"))
    with pytest.raises(UsageError, match="holds no arrays `left` and `middle`"):
        calibration(tmp_path / "c.npz", image=None, names=("left", "middle"))


def test_functions(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(FUNCTIONS)
    monkeypatch.chdir(tmp_path)
    assert len(calibration("mine.py:pictures", images=5)) == 5
    assert calibration("mine.py:pictures").sha256 == calibration("mine.py:labelled").sha256
    with pytest.raises(UsageError, match="6 images for 2 labels"):
        calibration("mine.py:mismatched")
    with pytest.raises(UsageError, match="mine.py:broken: returns no images: ZeroDivisionError"):
        calibration("mine.py:broken")
    with pytest.raises(UsageError, match=r"mine.py:nothing: returns NoneType, not images"):
        calibration("mine.py:nothing")


def test_batches_are_filled_with_images(folder):
    assert calibration(folder, image=InputSpec(size=8, batch=2)).inputs["image"].shape == (3, 2, 3, 8, 8)
    with pytest.raises(UsageError, match="6 images, but the network takes 7 at a time"):
        calibration(folder, image=InputSpec(size=8, batch=7))


def arrays(tmp_path, images, **others):
    np.savez(tmp_path / "bad.npz", images=images, **others)
    return tmp_path / "bad.npz"


def test_bad_images_are_refused(tmp_path):
    nan = np.random.rand(3, 3, 8, 8).astype(np.float32)
    nan[1, 0, 0, 0] = np.nan
    refused = {
        "image number 1 holds NaN or infinity": {"images": nan},
        "every image has a single colour": {"images": np.full((3, 8, 8, 3), 7, np.uint8)},
        r"images are uint8 \[6, 9, 8, 3\], not uint8 \(n, 8, 8, 3\)": {
            "images": np.zeros((6, 9, 8, 3), np.uint8)
        },
        r"images are uint8 \[6, 8, 8, 1\]": {"images": PIXELS[..., :1]},
        "holds no images": {"images": PIXELS[:0]},
        "6 images for 5 labels": {"images": PIXELS, "labels": np.arange(5)},
    }
    for message, given in refused.items():
        with pytest.raises(UsageError, match=message):
            calibration(arrays(tmp_path, **given))


def test_images_of_one_colour_among_others_are_said(tmp_path):
    pixels = PIXELS.copy()
    pixels[2] = 9
    assert "1 of 6 calibration images have a single colour" in calibration(arrays(tmp_path, pixels)).notes


def test_sources_that_are_not_there(tmp_path):
    with pytest.raises(UsageError, match="holds no files"):
        calibration(tmp_path)
    (tmp_path / "only.txt").write_text("x")
    with pytest.raises(UsageError, match="none of its 1 files is an image; the first: only.txt"):
        calibration(tmp_path)
    with pytest.raises(UsageError, match="no such folder, .npz"):
        calibration(tmp_path / "absent")
    with pytest.raises(UsageError, match="no such file"):
        calibration(tmp_path / "absent.npz")


def test_random_numbers_brand_what_is_made_with_them(folder):
    random = calibration("random")
    assert random.is_random
    assert random.as_json()["source"] == "random"
    assert brand_of(random, "static_wi8_ai8") == "_random_calibration"
    assert (
        brand_of(random, "fp16")
        == brand_of(calibration(folder), "static_wi8_ai8")
        == brand_of(None, "fp32")
        == ""
    )


def test_images_to_judge_by_are_others_than_those_of_the_ranges(folder, tmp_path):
    request = CalibrationRequest(str(folder), 2, judging_images=3)
    found = read_calibration(request, IMAGE, ("image",), random=lambda most: [])
    assert len(found) == 2
    assert [found.judging.images[i].tolist() for i in range(3)] == [PIXELS[i].tolist() for i in (1, 2, 4)]
    assert found.judging.labels is None
    everything = tmp_path / "labelled.npz"
    np.savez(everything, images=PIXELS, labels=np.arange(6))
    request = CalibrationRequest(str(everything), 4, judging_images=9)
    found = read_calibration(request, IMAGE, ("image",), random=lambda most: [])
    assert found.judging.labels.tolist() == [4, 5]
    request = CalibrationRequest(str(everything), 6, judging_images=9)
    found = read_calibration(request, IMAGE, ("image",), random=lambda most: [])
    assert len(found.judging.images) == 6
    assert "there are no others" in " ".join(found.notes)
    assert calibration(everything).judging is None
