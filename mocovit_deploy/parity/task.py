"""How a file's answers differ from the original's, in the terms of the network's task.

    detection       the objects of the original that the file finds again, and how far their boxes are off;
    instances       the same, without their masks
    segmentation    the places that get the same class, and how well the areas of the classes overlap

Both sides are decoded alike (`boxes/decode.py`). The verdict does not rest on these figures: a file passes by
its outputs. They say what its error means for an app.

Source    matching as in COCO's evaluation: the best object first, each with the object of its class that
          overlaps it most, by at least half; mean IoU as in Cityscapes' evaluation
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.artifacts.golden import Golden
from mocovit_deploy.artifacts.task import DETECTION, INSTANCES, SEGMENTATION
from mocovit_deploy.boxes.decode import Decoded, Detection, Limits, decoded, objects_of, overlaps
from mocovit_deploy.errors import UsageError

LEAST_SCORE = 0.05
"""The lowest score of an object that is compared, as in COCO's evaluation."""
MOST_OBJECTS, MOST_CANDIDATES = 100, 1000
"""Objects of an image that are compared, and scores before suppression, as in RetinaNet."""
LEAST_OVERLAP = 0.5
"""The least intersection over union of two boxes of one object."""


@dataclass(frozen=True)
class DetectionDifference:
    """Objects of the original and of the file, over all samples. Errors are None if none was found again."""

    objects: int
    """The objects that the original finds."""
    found_again: int
    others: int
    """The objects that only the file finds."""
    max_box_error_px: float | None
    """The largest difference of a side of a matched box, in pixels of the network's image."""
    mean_box_error_px: float | None
    max_score_error: float | None
    kind: str = DETECTION

    @property
    def text(self) -> str:
        """One line for people."""
        if not self.objects and not self.others:
            return f"no objects with scores of at least {LEAST_SCORE} in either, so boxes are not compared"
        text = f"{self.found_again} of {self.objects} objects found again, {self.others} others"
        if self.max_box_error_px is None:
            return text
        return (
            f"{text}; boxes within {self.max_box_error_px:.2g} px (mean {self.mean_box_error_px:.2g}), "
            f"scores within {self.max_score_error:.2g}"
        )


@dataclass(frozen=True)
class SegmentationDifference:
    """The classes of the map's places, over all samples. Shares are from 0 to 1."""

    same_class: float
    """The share of places that get the same class."""
    mean_iou: float
    """The mean over the classes that either names: places that both give to it / places that one does."""
    kind: str = SEGMENTATION

    @property
    def text(self) -> str:
        """One line for people."""
        return f"{self.same_class:.2%} of the places get the same class, mean IoU {self.mean_iou:.4f}"


TaskDifference = DetectionDifference | SegmentationDifference


def task_difference(
    task: Mapping[str, Any] | None, golden: Golden, found: Mapping[str, Array]
) -> TaskDifference | None:
    """Compare the answers of a file with those of the original; `found` has the shapes of `golden.outputs`.

    None for a network without a task, and for outputs with NaN or infinity. Raises `UsageError` for a task
    that does not fit the outputs.
    """
    kind = (task or {}).get("kind")
    if task is None or kind not in (DETECTION, INSTANCES, SEGMENTATION) or not len(golden):
        return None
    try:
        names = [str(name) for name in task["outputs"].values()]
        sides = [{name: side(name) for name in names} for side in (golden.exact, lambda name: found[name])]
        if not all(np.isfinite(array).all() for side in sides for array in side.values()):
            return None
        return _segmentation(task, *sides) if kind == SEGMENTATION else _detection(task, *sides)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError) as error:
        why = f"{type(error).__name__}: {error}"
        raise UsageError(f"the task in the file's manifest does not fit its outputs ({why:.80})") from None


def task_difference_from(document: Mapping[str, Any] | None) -> TaskDifference | None:
    """The difference that `dataclasses.asdict` made plain."""
    if document is None:
        return None
    kinds = {DETECTION: DetectionDifference, SEGMENTATION: SegmentationDifference}
    made: TaskDifference = kinds[document["kind"]](**document)
    return made


def _segmentation(
    task: Mapping[str, Any], expected: Mapping[str, Array], found: Mapping[str, Array]
) -> SegmentationDifference:
    name = task["outputs"][SEGMENTATION]
    ours, theirs = expected[name].argmax(axis=-1), found[name].argmax(axis=-1)
    named = np.union1d(ours, theirs)
    ious = [
        ((ours == one) & (theirs == one)).sum() / ((ours == one) | (theirs == one)).sum() for one in named
    ]
    return SegmentationDifference(float((ours == theirs).mean()), float(np.mean(ious)))


def _detection(
    task: Mapping[str, Any], expected: Mapping[str, Array], found: Mapping[str, Array]
) -> DetectionDifference:
    sides = np.array([*task["image_size"], *task["image_size"]], np.float64)
    boxes: list[float] = []
    scores: list[float] = []
    objects = others = 0
    for ours, theirs in zip(_images(task, expected), _images(task, found), strict=True):
        best, possible = compared_objects(ours), compared_objects(theirs, wider=True)
        pairs = matched(best, possible)
        theirs_best = compared_objects(theirs)
        objects += len(best)
        others += len(theirs_best) - len(matched(theirs_best, compared_objects(ours, wider=True)))
        for one, other in pairs:
            boxes.append(float(np.abs((np.array(one.box) - np.array(other.box)) * sides).max()))
            scores.append(abs(one.score - other.score))
    return DetectionDifference(
        objects=objects,
        found_again=len(boxes),
        others=others,
        max_box_error_px=max(boxes, default=None),
        mean_box_error_px=float(np.mean(boxes)) if boxes else None,
        max_score_error=max(scores, default=None),
    )


def _images(task: Mapping[str, Any], outputs: Mapping[str, Array]) -> Iterator[Decoded]:
    """The scores and boxes of each image; outputs are (samples, batch, ...)."""
    flat = {name: array.reshape(-1, 1, *array.shape[2:]) for name, array in outputs.items()}
    for image in range(len(next(iter(flat.values())))):
        yield decoded(task, {name: array[image] for name, array in flat.items()})


def compared_objects(found: Decoded, *, wider: bool = False) -> tuple[Detection, ...]:
    """The objects of one image that are compared, the best first; `wider` also those just beyond the limits.

    An object at a limit of one side is so found on the other. Of scores that are all much alike, as those of
    random weights, only the highest count.
    """
    factor = 2 if wider else 1
    highest, most = found.scores.ravel(), MOST_CANDIDATES * factor
    least = LEAST_SCORE / factor
    if highest.size > most:
        least = max(least, float(np.partition(highest, -most)[-most]))
    return objects_of(found, Limits(least, most=MOST_OBJECTS * factor))


def matched(ours: Sequence[Detection], theirs: Sequence[Detection]) -> list[tuple[Detection, Detection]]:
    """Pairs of one object: each of `ours`, the best first, with the one of `theirs` that overlaps it most.

    Only objects of one class that overlap by at least `LEAST_OVERLAP` match, and each only once.
    """
    left = list(theirs)
    pairs = []
    for one in ours:
        same = [other for other in left if other.label == one.label]
        if not same:
            continue
        shared = overlaps(np.array(one.box), np.array([other.box for other in same]))
        if shared.max() >= LEAST_OVERLAP:
            best = same[int(shared.argmax())]
            left.remove(best)
            pairs.append((one, best))
    return pairs
