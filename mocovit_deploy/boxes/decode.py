"""Decode the scores and locations of a detector into boxes, and choose the boxes to keep.

    y = anchor y + anchor height * location[0] / 10        h = anchor height * exp(location[2] / 5)
    x = anchor x + anchor width  * location[1] / 10        w = anchor width  * exp(location[3] / 5)

Then non-maximum suppression keeps the best box of each class and removes those that overlap it too much, and
so on. It is not in the file, because its operators run neither on GPU delegates nor on the Neural Engine.

Source    SSD's box coder, arXiv:1512.02325, as in MediaPipe and TFLite_Detection_PostProcess
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.artifacts.task import DETECTION, INSTANCES
from mocovit_deploy.boxes.anchors import Boxes, anchors_of, fact
from mocovit_deploy.choices import BOXES
from mocovit_deploy.errors import ParityError, UsageError

SCALES = (10.0, 10.0, 5.0, 5.0)
"""Divisors of the four location numbers: centre y, centre x, height, width. Those of the networks here."""
NO_ANCHOR = -1
LARGEST_EXPONENT = 20.0
"""Sides of boxes grow at most by exp of this, so that no box is infinite."""
RAW, DECODED, SUPPRESSED = BOXES


@dataclass(frozen=True)
class Limits:
    """Which boxes of an image are kept."""

    least_score: float = 0.3
    """The lowest score, from 0 to 1."""
    most_overlap: float = 0.5
    """The largest intersection over union of two boxes of a class."""
    most: int = 100
    """The most objects in an image, and of each class."""


@dataclass(frozen=True)
class Detection:
    """One object in an image."""

    label: int
    score: float
    """From 0 to 1."""
    box: tuple[float, float, float, float]
    """Top, left, bottom and right, from 0 to 1 within the image; an object at its edge can exceed that."""
    anchor: int
    """The position in the file's outputs that found it; `NO_ANCHOR` if the file does not tell."""


def decode_locations(locations: Array, priors: Boxes, scales: Sequence[float] = SCALES) -> Boxes:
    """Locations (boxes, 4), relative to the anchors `priors` (boxes, 4) of `anchors`, in the shape of boxes.

    Returns (boxes, 4): top, left, bottom and right, as fractions of the image. `scales` are as in `SCALES`.
    Raises `UsageError` unless there is an anchor for each location.
    """
    if locations.shape != priors.shape:
        raise UsageError(
            f"{len(locations)} locations, but {len(priors)} anchors: the detector has another image size"
        )
    told = locations.astype(np.float64) / np.asarray(scales)
    middle = priors[:, :2] + told[:, :2] * priors[:, 2:]
    half = np.exp(np.minimum(told[:, 2:], LARGEST_EXPONENT)) * priors[:, 2:] / 2
    return np.concatenate([middle - half, middle + half], axis=1)


class Decoded(NamedTuple):
    """Scores and boxes of one image, whatever form the file gives them in."""

    scores: Boxes
    """(anchors, classes), from 0 to 1."""
    boxes: Boxes
    """(anchors, 4): top, left, bottom and right, as fractions of the image."""


def decoded(task: Mapping[str, Any], outputs: Mapping[str, Array]) -> Decoded:
    """The scores and boxes of one image, from a file's outputs by name, batch 1.

    `task` is that of the manifest (`Artifact.task`); anchors and scales are those that it names. Raises
    `UsageError` for another kind of task, a task that lacks what decoding needs, and outputs of another image
    size; `ParityError` for outputs with NaN or infinity, which are no image without objects.
    """
    if task.get("kind") not in (DETECTION, INSTANCES):
        raise UsageError(f"the file is not a detector; its task is {task.get('kind', 'unknown')}")
    names = task["outputs"]
    scores, boxes = (finite(outputs[names[role]], names[role])[0] for role in ("scores", "boxes"))
    if task["boxes"] != RAW:
        return Decoded(scores, boxes)
    return Decoded(sigmoid(scores), decode_locations(boxes, anchors_of(task), fact(task, "scales")))


def detections(
    task: Mapping[str, Any],
    outputs: Mapping[str, Array],
    *,
    least_score: float = Limits.least_score,
    most_overlap: float = Limits.most_overlap,
    most: int = Limits.most,
    across_classes: bool = False,
) -> tuple[Detection, ...]:
    """The objects in one image, the best first, from a file's outputs by name, batch 1.

    The limits are those of `Limits`; `across_classes` is that of `objects_of`. Raises what `decoded` raises.
    """
    limits = Limits(least_score, most_overlap, most)
    return objects_of(decoded(task, outputs), limits, across_classes=across_classes)


def objects_of(
    found: Decoded,
    limits: Limits | None = None,
    *,
    across_classes: bool = False,
    best_class_alone: bool = False,
) -> tuple[Detection, ...]:
    """The objects in one image, the best first, within `limits` (None: the usual ones).

    With `best_class_alone` an anchor only has its best class, as in Core ML. With `across_classes` this is so
    too, and boxes of different classes suppress each other. MediaPipe does that, from an overlap of 0.3.
    """
    scores, boxes = found
    limits = limits or Limits()
    if across_classes:
        labels, best = scores.argmax(axis=1), scores.max(axis=1)
        kept = [(int(labels[i]), i) for i in suppressed(boxes, best, limits)]
    else:
        if best_class_alone:
            best_class = scores.argmax(axis=1)[:, np.newaxis] == np.arange(scores.shape[1])
            scores = np.where(best_class, scores, -np.inf)
        columns = enumerate(scores.T)
        kept = [(label, i) for label, column in columns for i in suppressed(boxes, column, limits)]
    objects = [detection(label, scores[i, label], boxes[i], i) for label, i in kept]
    return tuple(sorted(objects, key=lambda one: -one.score)[: limits.most])


def suppressed(boxes: Boxes, scores: Boxes, limits: Limits) -> list[int]:
    """Positions of the boxes to keep, the best first, by greedy non-maximum suppression.

    `boxes` (boxes, 4) are top, left, bottom and right in any unit, `scores` (boxes,). A box that overlaps a
    kept one by more than `limits` say is not kept. Nor is one that holds NaN or infinity, or whose score is:
    it would overlap nothing, or everything.
    """
    usable = np.isfinite(scores) & np.isfinite(boxes).all(axis=1)
    order = np.flatnonzero(usable & (scores >= limits.least_score))
    order = order[np.argsort(-scores[order], kind="stable")]
    kept: list[int] = []
    while len(order) and len(kept) < limits.most:
        best, order = int(order[0]), order[1:]
        kept.append(best)
        order = order[overlaps(boxes[best], boxes[order]) <= limits.most_overlap]
    return kept


def overlaps(one: Boxes, others: Boxes) -> Boxes:
    """Intersection over union, (n,), of a box (4,) with each of the `others` (n, 4).

    >>> overlaps(np.array([0.0, 0.0, 2.0, 2.0]), np.array([[0.0, 1.0, 2.0, 2.0]])).tolist()
    [0.5]
    """
    inner = np.minimum(one[2:], others[:, 2:]) - np.maximum(one[:2], others[:, :2])
    shared = np.prod(np.maximum(inner, 0.0), axis=1)
    area = np.prod(one[2:] - one[:2]) + np.prod(others[:, 2:] - others[:, :2], axis=1) - shared
    return np.asarray(shared / np.maximum(area, 1e-12))


def finite(output: Array, name: str) -> Boxes:
    """An output as float64. Raises `ParityError` if it holds NaN or infinity."""
    if not np.isfinite(output).all():
        raise ParityError(f"{name} holds NaN or infinity; check the file with mocovit-parity")
    return np.asarray(output, np.float64)


def sigmoid(logits: Boxes) -> Boxes:
    """1 / (1 + exp(-x)), of any shape, without overflow."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -60.0, 60.0))))


def detection(label: int, score: float, box: Sequence[float] | Boxes, anchor: int = NO_ANCHOR) -> Detection:
    """A `Detection` of numpy's numbers; `box` is (4,)."""
    top, left, bottom, right = map(float, box)
    return Detection(int(label), float(score), (top, left, bottom, right), int(anchor))
