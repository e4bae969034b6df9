"""Compare a file with the network it came from: accuracy, agreement, and how sure the difference is.

Both answer the same images, so only images count on which exactly one of them is right:

    b  images only the reference gets right      drop = (b - c) / n
    c  images only the file gets right

The 95 % interval holds every drop that the score test does not reject (T. Tango, Equivalence test and
confidence interval for the difference in proportions for the paired-sample design, Statistics in Medicine
17, 1998). Unlike Wald's interval it claims no certainty if b = c = 0. Unlike the interval of two independent
accuracies it is as narrow as the few images that changed allow. The interval of Agresti and Min (2005) is
simpler, but if all changes go one way it can cover the truth only 86 % of the time. This one never covers it
less than 93.6 % of the time, computed exactly for pairs of up to 40 expected changes each way.
The interval is about other images of the same kind. It does not say how well these images represent those of
an application.

Numpy only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mocovit_deploy.artifacts.artifact import Array

Classes = npt.NDArray[np.int64]

NO_ANSWER = -1
"""Stands for the class of an output that holds NaN or infinity: it is never right and never agrees."""
NORMAL_95 = 1.959964
"""The standard normal distribution's 97.5 % quantile."""
BISECTIONS = 60
"""Enough to find the edge of the interval to the last bit of a float."""


@dataclass(frozen=True)
class Drop:
    """Accuracy lost from reference to file, as a share of the images, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Evaluation:
    """One file's answers compared with the labels and with the reference's answers. Shares are 0 to 1."""

    images: int
    accuracy: float
    reference_accuracy: float
    drop: Drop
    agreement: float
    """The share of images on which file and reference answer the same class, right or wrong."""
    without_answer: int
    """The number of images for which the file returned NaN or infinity."""


def classes(predict: Callable[[Array], Array], batches: Iterable[Array]) -> Classes:
    """The class answered for each image, (n,); `predict` maps a batch of images to logits (B, classes)."""
    return np.concatenate([top_1(predict(images)) for images in batches])


def top_1(logits: Array) -> Classes:
    """(n, classes) -> (n,): the index of the largest logit, the first of equals; `NO_ANSWER` if not finite.

    Raises `ValueError` for another shape.
    """
    if logits.ndim != 2:
        raise ValueError(f"logits have shape {logits.shape}, not (images, classes)")
    finite = np.isfinite(logits).all(axis=1)
    return np.where(finite, logits.argmax(axis=1), NO_ANSWER).astype(np.int64)


def accuracy(labels: Classes, answers: Classes) -> float:
    """The share of answers that are right. Raises `ValueError` unless there is one answer for each label."""
    if labels.shape != answers.shape or labels.ndim != 1 or not len(labels):
        raise ValueError(f"{answers.shape} answers for {labels.shape} labels")
    return float((labels == answers).mean())


def evaluate(labels: Classes, reference: Classes, found: Classes) -> Evaluation:
    """Judge a file's answers `found`. All three are (n,), one for each image; else raises `ValueError`."""
    return Evaluation(
        images=len(labels),
        accuracy=accuracy(labels, found),
        reference_accuracy=accuracy(labels, reference),
        drop=paired_drop(labels == reference, labels == found),
        agreement=float(((reference == found) & (found != NO_ANSWER)).mean()),
        without_answer=int((found == NO_ANSWER).sum()),
    )


def paired_drop(reference_right: npt.NDArray[np.bool_], found_right: npt.NDArray[np.bool_]) -> Drop:
    """Accuracy lost on the same images, with the interval described above. Both are (n,) with n >= 1.

    Raises `ValueError` for other shapes.
    """
    if reference_right.shape != found_right.shape or not reference_right.size:
        raise ValueError(f"{reference_right.shape} and {found_right.shape} are not the same images")
    n = reference_right.size
    only_reference = int((reference_right & ~found_right).sum())
    only_found = int((found_right & ~reference_right).sum())
    low = _edge(only_reference, only_found, n, towards=-1.0)
    high = _edge(only_reference, only_found, n, towards=1.0)
    return Drop((only_reference - only_found) / n, low, high)


def mean_loss(losses: npt.NDArray[np.float64]) -> Drop:
    """The mean of losses (n,) from 0 to 1 with a 95 % interval, n >= 1.

    The interval is that of losses that are 0 or 1 with the same mean. No others from 0 to 1 vary more, so it
    is wide enough for any. Raises `ValueError` for losses outside 0 to 1.
    """
    if not losses.size or not ((losses >= 0) & (losses <= 1)).all():
        raise ValueError(f"losses {losses!r:.60} are not from 0 to 1")
    total, n = float(losses.sum()), losses.size
    return Drop(total / n, _edge(total, 0, n, towards=-1.0), _edge(total, 0, n, towards=1.0))


def images_for(drop: float) -> int:
    """The number of images for which a file that changes no answer has an interval that ends within `drop`.

    `drop` is a share above 0.
    """
    return math.ceil(NORMAL_95**2 * (1 - drop) / drop)


def _edge(b: float, c: float, n: int, towards: float) -> float:
    """The edge of the interval: the drop farthest towards `towards` (-1 or 1) that the test accepts."""
    accepted, rejected = (b - c) / n, towards
    for _ in range(BISECTIONS):
        middle = (accepted + rejected) / 2
        if abs(_score(b, c, n, middle)) <= NORMAL_95:
            accepted = middle
        else:
            rejected = middle
    return accepted


def _score(b: float, c: float, n: int, drop: float) -> float:
    """The distance of b - c from n * drop in standard errors, under the hypothesis that `drop` is the truth.

    The share of images that only the file gets right is unknown. Its maximum-likelihood estimate under the
    hypothesis is used, the root of a quadratic in Tango's section 3.
    """
    half_b = (-(b + c) + (2 * n - b + c) * drop) / 2
    root = math.sqrt(max(0.0, half_b**2 + 2 * n * c * drop * (1 - drop)))
    only_found = (root - half_b) / (2 * n)
    variance = n * (2 * only_found + drop * (1 - drop))
    distance = b - c - n * drop
    if variance <= 0:
        return 0.0 if distance == 0 else math.copysign(math.inf, distance)
    return distance / math.sqrt(variance)
