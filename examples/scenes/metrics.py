"""Average precision and mean IoU of answers on scenes, and intervals of what a file loses of them.

    AP          COCO's: the mean over classes, over 101 recalls and over overlaps from 0.50 to 0.95 of the
                precision, with at most 100 objects an image; of boxes, or of masks
    mean IoU    the mean over classes, background included, of the pixels that are rightly of a class over
                those that are or were said to be

Objects are matched with the truth by pycocotools, the implementation of COCO's authors. Averaging is done
here, because it must be repeated with images drawn anew; a test compares it with COCOeval's own.

The 95 % interval of a drop is that of the paired bootstrap: images are drawn with replacement, the same for
the original and the file, and the drop of 95 % of the draws lies inside (B. Efron and R. Tibshirani, An
Introduction to the Bootstrap, 1993, section 13.3). It speaks of other scenes of these digits and photographs.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from examples.digits.data import ByteArray
from examples.scenes.data import CLASSES, Scene
from mocovit_deploy.accuracy.evaluate import Drop
from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.boxes.decode import Detection
from mocovit_deploy.boxes.masks import Mask
from mocovit_deploy.extras import needs_extra

BOXES, MASKS = "bbox", "segm"
"""What is compared, in COCO's words."""
DRAWS = 1000
"""How often the images are drawn anew."""
SEED = 0
RECALLS = np.linspace(0, 1, 101)

Results = list[dict[str, Any]]
"""Objects as COCO's result files have them: image_id, category_id, bbox, score and segmentation."""


@dataclass(frozen=True)
class Matches:
    """Which of the objects that were found are true, by class; from all images, the best score first."""

    hits: tuple[npt.NDArray[np.bool_], ...]
    """By class (overlaps, objects): whether an object is true at each overlap from 0.50 to 0.95."""
    images: tuple[npt.NDArray[np.int64], ...]
    """By class (objects,): the image that an object was found in."""
    truths: Array
    """(classes, images): how many objects there are."""


def as_results(image: int, found: Sequence[Detection], masks: Sequence[Mask] | None, size: int) -> Results:
    """The objects found in an image of `size` pixels, with their masks if there are any."""
    results: Results = []
    for place, one in enumerate(found):
        top, left, bottom, right = (size * side for side in one.box)
        result: dict[str, Any] = {"image_id": image, "category_id": one.label, "score": one.score}
        result |= {"bbox": [left, top, right - left, bottom - top]}
        if masks is not None:
            result["segmentation"] = _encoded(masks[place])
        results.append(result)
    return results


def coco_truth(scenes: Sequence[Scene]) -> Any:
    """The true objects of scenes as pycocotools' `COCO`. Raises `MissingToolError` without pycocotools."""
    truth = needs_extra("pycocotools.coco", "train").COCO()
    objects: list[dict[str, Any]] = []
    for image, scene in enumerate(scenes):
        for label, box, mask in zip(scene.labels.tolist(), scene.boxes.tolist(), scene.masks, strict=True):
            top, left, bottom, right = box
            one = {"id": len(objects) + 1, "image_id": image, "category_id": label, "iscrowd": 0}
            one |= {"bbox": [left, top, right - left, bottom - top], "area": float(mask.sum())}
            objects.append(one | {"segmentation": _encoded(mask)})
    images = [{"id": one, "height": len(s.picture), "width": len(s.picture)} for one, s in enumerate(scenes)]
    truth.dataset = {
        "images": images,
        "annotations": objects,
        "categories": [{"id": i} for i in range(CLASSES)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
    return truth


def coco_eval(truth: Any, results: Results, what: str) -> Any:
    """pycocotools' `COCOeval` of results against the truth, matched for objects of any size."""
    with contextlib.redirect_stdout(io.StringIO()):
        judge = needs_extra("pycocotools.cocoeval", "train").COCOeval(truth, truth.loadRes(results), what)
        judge.params.areaRng, judge.params.areaRngLbl = judge.params.areaRng[:1], judge.params.areaRngLbl[:1]
        judge.params.maxDets = [100]
        judge.evaluate()
    return judge


def matched(truth: Any, results: Results, what: str) -> Matches:
    """Match results with the truth; `what` is `BOXES` or `MASKS`."""
    images = len(truth.dataset["images"])
    counts = np.zeros((CLASSES, images))
    for one in truth.dataset["annotations"]:
        counts[one["category_id"], one["image_id"]] += 1
    hits, places = [], []
    told = [one for one in coco_eval(truth, results, what).evalImgs if one] if results else []
    for label in range(CLASSES):
        own = [one for one in told if one["category_id"] == label and len(one["dtScores"])]
        if not own:
            hits.append(np.zeros((10, 0), bool))
            places.append(np.zeros(0, np.int64))
            continue
        order = np.argsort(-np.concatenate([one["dtScores"] for one in own]), kind="mergesort")
        hits.append(np.concatenate([one["dtMatches"] for one in own], axis=1)[:, order] > 0)
        of = np.concatenate([np.full(len(one["dtScores"]), one["image_id"]) for one in own])
        places.append(of[order])
    return Matches(tuple(hits), tuple(places), counts)


def average_precision(found: Matches, weights: Array | None = None) -> float:
    """COCO's AP, 0 to 1. `weights` (images,) say how often each image counts; None for once."""
    weight = np.ones(found.truths.shape[1]) if weights is None else weights
    means = []
    for hits, images, truths in zip(found.hits, found.images, found.truths, strict=True):
        total = float(truths @ weight)
        if total:
            own = weight[images]
            right, wrong = np.cumsum(hits * own, axis=1), np.cumsum(~hits * own, axis=1)
            means.append(float(np.mean([_precision(*one, total) for one in zip(right, wrong, strict=True)])))
    return float(np.mean(means))


def _precision(right: Array, wrong: Array, total: float) -> float:
    """The mean over `RECALLS` of the best precision at that recall or beyond it."""
    precision = right / np.maximum(right + wrong, 1e-12)
    best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(best[np.searchsorted(right / total, RECALLS, side="left")].mean())


def confusion(scenes: Sequence[Scene], classes: Sequence[ByteArray]) -> Array:
    """How many pixels of each class were said to be of each, (images, classes, classes)."""
    count = CLASSES + 1
    pairs = [count * scene.classes.astype(int) + said for scene, said in zip(scenes, classes, strict=True)]
    return np.stack([np.bincount(one.ravel(), minlength=count**2).reshape(count, count) for one in pairs])


def mean_iou(pixels: Array, weights: Array | None = None) -> float:
    """The mean IoU, 0 to 1, from the counts of `confusion`; classes without a pixel are left out."""
    total = pixels.sum(0) if weights is None else np.tensordot(weights, pixels, 1)
    right = np.diagonal(total)
    either = total.sum(0) + total.sum(1) - right
    return float((right[either > 0] / either[either > 0]).mean())


@dataclass(frozen=True)
class Figure:
    """A figure of one network or file, from 0 to 1: on the images as they are, and drawn anew."""

    value: float
    drawn: Array
    """(draws,)"""


def figure_of(judged: Any, images: int, compute: Callable[[Any, Array | None], float]) -> Figure:
    """The figure of `Matches`, by `average_precision`, or of the counts of `confusion`, by `mean_iou`.

    The draws of all networks and files with as many `images` are the same.
    """
    generator = np.random.default_rng(SEED)
    draws = generator.integers(images, size=(DRAWS, images))
    weights = [np.bincount(one, minlength=images).astype(float) for one in draws]
    return Figure(compute(judged, None), np.array([compute(judged, one) for one in weights]))


def drop(original: Figure, found: Figure) -> Drop:
    """What a file loses of the original's figure on the same images, with its 95 % interval."""
    low, high = np.percentile(original.drawn - found.drawn, [2.5, 97.5])
    return Drop(original.value - found.value, float(low), float(high))


def _encoded(mask: Mask) -> Any:
    return needs_extra("pycocotools.mask", "train").encode(np.asfortranarray(mask, np.uint8))
