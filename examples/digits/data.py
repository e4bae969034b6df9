"""Handwritten digits laid over photographs: labelled images of any size, in any number, without a download.

    image i = a random crop of a photograph, turned and recoloured,
              and over it digit i mod n (of n digits), in random size, place and ink

Training and held-out images share neither a digit nor a photograph:

               digits (scikit-learn's 1797, 8 x 8 pixels)    photographs
    training   the first 1000                                14 in scikit-image's package
    held out   the last 797                                  the two in scikit-learn's package

Digits are split by position, because similar digits are near each other in that file. Shuffling before
splitting would make the task easier than new handwriting is (1-nearest neighbour on the bare digits: 98.4 %
right when shuffled, 96.2 % as split here). Image i depends only on its split, i, the size and the clutter.
Pillow draws it with integer grey levels, and a test compares digests of the result.

Source of the digits: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mocovit_deploy.accuracy.answers import Tensors
from mocovit_deploy.errors import MissingToolError
from mocovit_deploy.extras import needs_extra
from mocovit_deploy.parity.samples import FloatArray, preprocess
from mocovit_deploy.spec import InputSpec

if TYPE_CHECKING:
    from PIL.Image import Image

ByteArray = npt.NDArray[np.uint8]
LabelArray = npt.NDArray[np.int64]

CLASSES = 10
TRAINING_DIGITS = 1000
HELD_OUT_IMAGES = 7 * 797
"""Every held-out digit seven times, each time drawn anew; the first 797 k images have each digit k times."""

TRAINING_SEED, HELD_OUT_SEED = 1, 2

# An installed package, the folder of its own data, and photographs there. None of them shows printed digits.
TRAINING_PHOTOGRAPHS = (
    "skimage",
    "data",
    (
        "astronaut.png",
        "brick.png",
        "camera.png",
        "chelsea.png",
        "coffee.png",
        "coins.png",
        "grass.png",
        "gravel.png",
        "hubble_deep_field.jpg",
        "ihc.png",
        "moon.png",
        "motorcycle_left.png",
        "retina.jpg",
        "rocket.jpg",
    ),
)
HELD_OUT_PHOTOGRAPHS = ("sklearn", "datasets/images", ("china.jpg", "flower.jpg"))
PIP_NAMES = {"skimage": "scikit-image", "sklearn": "scikit-learn"}

SMALLEST_CROP = 80
"""The least side of a crop, in pixels of the photograph; the greatest is the photograph's shorter side."""
TURNS = range(7)
"""Pillow's mirrorings and quarter turns of a crop. The three colours are permuted as well, so that a few
photographs give many backgrounds."""
DIGIT_SIDE = (0.60, 0.90)
"""The least and greatest width of a digit, as shares of the image's side; the same for its height, which is
chosen independently."""
CONTRAST = (100, 180)
"""The least and greatest difference, in grey levels of 255, between the digit's ink and the mean below it."""
TINT = 30
"""By how many grey levels each colour of the ink may differ from the ink's grey."""


@dataclass(frozen=True)
class Split:
    """The digits and photographs that one kind of image is made from."""

    digits: ByteArray
    """(n, 8, 8), ink from 0 to 16."""
    labels: LabelArray
    """(n,), 0 to 9."""
    photographs: tuple[Image, ...]
    seed: int


def training() -> Split:
    """The digits and photographs of training images.

    Raises `MissingToolError` where scikit-image or scikit-learn is not installed.
    """
    digits, labels = _digits()
    photographs = _photographs(*TRAINING_PHOTOGRAPHS)
    return Split(digits[:TRAINING_DIGITS], labels[:TRAINING_DIGITS], photographs, TRAINING_SEED)


def held_out() -> Split:
    """The digits and photographs of held-out images.

    Raises `MissingToolError` where scikit-learn is not installed.
    """
    digits, labels = _digits()
    photographs = _photographs(*HELD_OUT_PHOTOGRAPHS)
    return Split(digits[TRAINING_DIGITS:], labels[TRAINING_DIGITS:], photographs, HELD_OUT_SEED)


def batch(
    split: Split, indices: Sequence[int], spec: InputSpec, clutter: float = 1.0
) -> tuple[FloatArray, LabelArray]:
    """The images of `indices` as `spec` asks for them, (n, 3, S, S) float32, and their labels, (n,)."""
    pictures = [
        preprocess(picture(split, index, spec.size, clutter), spec.preprocessing) for index in indices
    ]
    return np.stack(pictures), split.labels[np.asarray(indices) % len(split.labels)]


def tensors(split: Split, spec: InputSpec) -> Tensors:
    """A function of (start, stop) that gives images start to stop - 1 of a split, as `spec` asks for them."""
    return lambda start, stop: batch(split, range(start, stop), spec)[0]


def held_out_pictures(spec: InputSpec, images: int | None = None) -> tuple[ByteArray, LabelArray]:
    """The first `images` held-out images (all of them for None), (n, S, S, 3) RGB, and their labels, (n,).

    A contract names this function in its `data`.
    """
    split = held_out()
    indices = np.arange(HELD_OUT_IMAGES if images is None else min(images, HELD_OUT_IMAGES))
    pictures = np.stack([picture(split, int(index), spec.size) for index in indices])
    return pictures, split.labels[indices % len(split.labels)]


def training_pictures(spec: InputSpec, images: int | None = None) -> tuple[ByteArray, LabelArray]:
    """The first `images` training images (128 for None), (n, S, S, 3) RGB, and their labels, (n,).

    For `--calibration examples.digits.data:training_pictures`. Accuracy is measured on other images.
    """
    split = training()
    indices = np.arange(128 if images is None else images)
    pictures = np.stack([picture(split, int(index), spec.size) for index in indices])
    return pictures, split.labels[indices % len(split.labels)]


def picture(split: Split, index: int, size: int, clutter: float = 1.0) -> ByteArray:
    """Image `index` of a split: (size, size, 3) RGB.

    `clutter` is how much of the photograph is seen, from 0 (only its mean colour) to 1 (all of it).
    """
    generator = np.random.default_rng((split.seed, index))
    image = background(split.photographs, size, generator)
    if clutter < 1:
        plain = image.resize((1, 1)).resize(image.size)
        image = needs_extra("PIL.Image", "export").blend(plain, image, clutter)
    _draw(image, split.digits[index % len(split.digits)], generator)
    return np.asarray(image, np.uint8)


def background(photographs: Sequence[Image], size: int, generator: np.random.Generator) -> Image:
    """A random square of a random photograph, turned and recoloured, `size` pixels high and wide."""
    photograph = photographs[int(generator.integers(len(photographs)))]
    side = between(generator, SMALLEST_CROP, min(photograph.size))
    left, top = (between(generator, 0, extent - side) for extent in photograph.size)
    box = (left, top, left + side, top + side)
    # Pillow reduces in two steps with reducing_gap: three times as fast, and the result is nearly the same.
    crop = photograph.resize((size, size), box=box, reducing_gap=1.0).transpose(generator.choice(TURNS))
    bands = crop.split()
    mixed = [bands[int(band)] for band in generator.permutation(3)]
    background: Image = needs_extra("PIL.Image", "export").merge("RGB", mixed)
    return background


def _draw(image: Image, digit: ByteArray, generator: np.random.Generator) -> None:
    """Draw one digit over `image`, in ink that is lighter or darker than the pixels below it."""
    least, most = (round(share * image.width) for share in DIGIT_SIDE)
    width, height = between(generator, least, most), between(generator, least, most)
    left, top = between(generator, 0, image.width - width), between(generator, 0, image.height - height)
    under = image.crop((left, top, left + width, top + height))
    ink = ink_over(round(float(np.asarray(under).mean())), generator)
    image.paste(ink, (left, top), stencil(digit, width, height))


def stencil(digit: ByteArray, width: int, height: int) -> Image:
    """A digit (8, 8) as an image of `width` x `height` grey levels: how much ink covers each pixel."""
    grey = (digit.astype(np.uint16) * 255 // 16).astype(np.uint8)
    drawn: Image = needs_extra("PIL.Image", "export").fromarray(grey).resize((width, height))
    return drawn


def ink_over(under: int, generator: np.random.Generator) -> tuple[int, ...]:
    """A colour whose grey differs from `under` by a random contrast; darker or lighter at random."""
    contrast = between(generator, *CONTRAST)
    sides = [grey for grey in (under - contrast, under + contrast) if 0 <= grey <= 255]
    grey = sides[int(generator.integers(len(sides)))] if sides else (0 if under > 127 else 255)
    return tuple(min(255, max(0, grey + between(generator, -TINT, TINT))) for _ in range(3))


def between(generator: np.random.Generator, low: int, high: int) -> int:
    """A random whole number from `low` to `high`, both included."""
    return int(generator.integers(low, high, endpoint=True))


def _digits() -> tuple[ByteArray, LabelArray]:
    bunch = needs_extra("sklearn.datasets", "export").load_digits()
    return bunch.images.astype(np.uint8), bunch.target.astype(np.int64)


def _photographs(package: str, folder: str, names: Sequence[str]) -> tuple[Image, ...]:
    """Photographs, in RGB, from the folder of an installed package. The package is not imported."""
    pillow = needs_extra("PIL.Image", "export")
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise MissingToolError(
            f"{PIP_NAMES[package]}, which ships the photographs, is not installed; "
            f"run: pip install {PIP_NAMES[package]}"
        )
    images = []
    for name in names:
        with pillow.open(Path(found.submodule_search_locations[0], folder, name)) as opened:
            images.append(opened.convert("RGB"))
    return tuple(images)
