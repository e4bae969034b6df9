"""Scenes: several handwritten digits over a photograph, with the truth about each. Nothing is downloaded.

    scene i = a random crop of a photograph, turned and recoloured, and over it 2 to 5 digits,
              each in random size, shape, place and ink; later digits cover earlier ones

The truth is one map, (S, S): 0 where there is no digit, k where the k-th digit is the uppermost. Boxes, class
masks and instance masks follow from it, so that they cannot contradict each other:

    boxes      the smallest that hold what is seen of a digit
    classes    0 for the background, 1 + the digit's value elsewhere

A digit covers at most `MOST_HIDDEN` of any earlier one, so none is lost. Digits and photographs are those of
examples/digits/data.py, split in the same way: training and held-out scenes share neither. Scene i depends
only on its split, i and the size; a test compares a digest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from examples.digits.data import (
    ByteArray,
    LabelArray,
    Split,
    background,
    between,
    held_out,
    ink_over,
    stencil,
    training,
)
from mocovit_deploy.parity.samples import FloatArray, preprocess
from mocovit_deploy.spec import InputSpec

BoolArray = npt.NDArray[np.bool_]

CLASSES = 10
HELD_OUT_SCENES = 1000
CALIBRATION_SCENES = 128
DIGITS = (2, 5)
"""The least and greatest number of digits in a scene; fewer where no place is left."""
HEIGHT = (0.28, 0.60)
"""The least and greatest height of a digit, as a share of the image's side."""
SHAPE = (0.6, 1.0)
"""The least and greatest width of a digit, as a share of its height."""
MOST_HIDDEN = 0.15
"""The greatest share of a digit's own ink that later ones may cover."""
TRIES = 8
"""How many places are tried for a digit before it is left out."""
INK = 128
"""From this grey level of its stencil, of 255, a pixel belongs to the digit."""
SCENES_SEED = 7


@dataclass(frozen=True)
class Scene:
    """A picture and the truth about it."""

    picture: ByteArray
    """(S, S, 3) RGB."""
    owners: ByteArray
    """(S, S): 0 for the background, k for the k-th digit."""
    labels: LabelArray
    """(n,), the values of the digits, 0 to 9."""

    @property
    def masks(self) -> BoolArray:
        """The pixels of each digit that are seen, (n, S, S)."""
        return np.asarray(self.owners == np.arange(1, len(self.labels) + 1)[:, None, None])

    @property
    def boxes(self) -> FloatArray:
        """Top, left, bottom and right of what is seen of each digit, in pixels, (n, 4)."""
        return np.array([_extent(mask) for mask in self.masks], np.float32).reshape(-1, 4)

    @property
    def classes(self) -> ByteArray:
        """The class of each pixel, (S, S): 0 for the background, 1 + the value of a digit."""
        return np.append(0, self.labels + 1)[self.owners].astype(np.uint8)


def scene(split: Split, index: int, size: int) -> Scene:
    """Scene `index` of a split, `size` pixels high and wide."""
    generator = np.random.default_rng((split.seed, SCENES_SEED, index))
    image = background(split.photographs, size, generator)
    owners = np.zeros((size, size), np.uint8)
    inked: list[int] = []
    """The pixels of each digit when it was drawn."""
    labels: list[int] = []
    for _ in range(between(generator, *DIGITS)):
        which = int(generator.integers(len(split.labels)))
        for _ in range(TRIES):
            height = round(generator.uniform(*HEIGHT) * size)
            width = round(height * generator.uniform(*SHAPE))
            left, top = between(generator, 0, size - width), between(generator, 0, size - height)
            drawn = stencil(split.digits[which], width, height)
            covered = np.zeros_like(owners, bool)
            covered[top : top + height, left : left + width] = np.asarray(drawn) >= INK
            after = np.where(covered, len(labels) + 1, owners)
            seen = np.bincount(after.ravel(), minlength=len(labels) + 1)[1 : len(labels) + 1]
            if all(
                left_over >= (1 - MOST_HIDDEN) * all_of for left_over, all_of in zip(seen, inked, strict=True)
            ):
                under = np.asarray(image.crop((left, top, left + width, top + height)))
                image.paste(ink_over(round(float(under.mean())), generator), (left, top), drawn)
                owners = after.astype(np.uint8)
                inked.append(int(covered.sum()))
                labels.append(int(split.labels[which]))
                break
    return Scene(np.asarray(image, np.uint8), owners, np.array(labels, np.int64))


def scenes(split: Split, count: int, size: int) -> tuple[Scene, ...]:
    """The first `count` scenes of a split."""
    return tuple(scene(split, index, size) for index in range(count))


def held_out_scenes(count: int, size: int) -> tuple[Scene, ...]:
    """The first `count` held-out scenes. Raises `MissingToolError` without scikit-learn."""
    return scenes(held_out(), count, size)


def tensors(some: Sequence[Scene], spec: InputSpec) -> FloatArray:
    """The pictures of scenes as `spec` asks for them, (n, 3, S, S)."""
    return np.stack([preprocess(one.picture, spec.preprocessing) for one in some])


def training_pictures(spec: InputSpec, images: int | None = None) -> tuple[ByteArray, LabelArray]:
    """The first `images` training scenes (128 for None), (n, S, S, 3) RGB, and the value of a digit in each.

    For `--calibration examples.scenes.data:training_pictures`. Accuracy is measured on other scenes.
    """
    some = scenes(training(), CALIBRATION_SCENES if images is None else images, spec.size)
    return np.stack([one.picture for one in some]), np.array([one.labels[0] for one in some])


def _extent(mask: BoolArray) -> tuple[int, int, int, int]:
    """Top, left, bottom and right of the pixels of a mask that has some."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1
