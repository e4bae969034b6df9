"""Is a file as right as the network it came from? Accuracy, agreement, and how sure the difference is.

Both sides answer the same images, so what counts is where exactly one of them is right:

    b  images only the reference gets right      drop = (b - c) / n
    c  images only the file gets right

The 95 % interval holds every drop that the score test does not reject (T. Tango, Equivalence test and
confidence interval for the difference in proportions for the paired-sample design, Statistics in Medicine
17, 1998). Unlike Wald's it claims no certainty where b = c = 0, and unlike intervals of two independent
accuracies it is as narrow as the few images that changed allow. Agresti and Min's of 2005 is simpler, but
where all changes go one way it can cover the truth only 86 % of the time; this one never less than 93.6 %,
computed exactly for pairs of up to 40 expected changes each way.
The interval is for other images of the same kind. It does not say how well these images represent those of an
application.

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
"""The class given to outputs that hold NaN or infinity: never right, agrees with nothing."""
NORMAL_95 = 1.959964
"""The standard normal distribution's 97.5 % quantile."""
BISECTIONS = 60
"""Until the edge of the interval is known to the last bit of a float."""


@dataclass(frozen=True)
class Drop:
    """Accuracy lost from reference to file, as a share of the images, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Evaluation:
    """One file's answers against the labels and against the reference's answers. Shares from 0 to 1."""

    images: int
    accuracy: float
    reference_accuracy: float
    drop: Drop
    agreement: float
    """Share of images on which file and reference name the same class, right or wrong."""
    without_answer: int
    """Images for which the file gave NaN or infinity."""


def classes(predict: Callable[[Array], Array], batches: Iterable[Array]) -> Classes:
    """The class named for each image, (n,); `predict` maps a batch of images to logits (B, classes)."""
    return np.concatenate([top_1(predict(images)) for images in batches])


def top_1(logits: Array) -> Classes:
    """(n, classes) -> (n,): the largest one's index, the first of equals; `NO_ANSWER` where not finite."""
    if logits.ndim != 2:
        raise ValueError(f"logits have shape {logits.shape}, not (images, classes)")
    finite = np.isfinite(logits).all(axis=1)
    return np.where(finite, logits.argmax(axis=1), NO_ANSWER).astype(np.int64)


def accuracy(labels: Classes, answers: Classes) -> float:
    """Share of answers that are right; `ValueError` where there are none, or not one per label."""
    if labels.shape != answers.shape or labels.ndim != 1 or not len(labels):
        raise ValueError(f"{answers.shape} answers for {labels.shape} labels")
    return float((labels == answers).mean())


def evaluate(labels: Classes, reference: Classes, found: Classes) -> Evaluation:
    """Judge a file's answers; all three are (n,), image by image. `ValueError` where they do not match."""
    return Evaluation(
        images=len(labels),
        accuracy=accuracy(labels, found),
        reference_accuracy=accuracy(labels, reference),
        drop=paired_drop(labels == reference, labels == found),
        agreement=float(((reference == found) & (found != NO_ANSWER)).mean()),
        without_answer=int((found == NO_ANSWER).sum()),
    )


def paired_drop(reference_right: npt.NDArray[np.bool_], found_right: npt.NDArray[np.bool_]) -> Drop:
    """Accuracy lost on the same images, with the interval described above; both are (n,), n >= 1."""
    if reference_right.shape != found_right.shape or not reference_right.size:
        raise ValueError(f"{reference_right.shape} and {found_right.shape} are not the same images")
    n = reference_right.size
    only_reference = int((reference_right & ~found_right).sum())
    only_found = int((found_right & ~reference_right).sum())
    low = _edge(only_reference, only_found, n, towards=-1.0)
    high = _edge(only_reference, only_found, n, towards=1.0)
    return Drop((only_reference - only_found) / n, low, high)


def images_for(drop: float) -> int:
    """With how many images the interval of a file that changes no answer ends within `drop`, a share > 0."""
    return math.ceil(NORMAL_95**2 * (1 - drop) / drop)


def _edge(b: int, c: int, n: int, towards: float) -> float:
    """The last drop on the way from the observed one to `towards` (-1 or 1) that is not rejected."""
    accepted, rejected = (b - c) / n, towards
    for _ in range(BISECTIONS):
        middle = (accepted + rejected) / 2
        if abs(_score(b, c, n, middle)) <= NORMAL_95:
            accepted = middle
        else:
            rejected = middle
    return accepted


def _score(b: int, c: int, n: int, drop: float) -> float:
    """Distance of b - c from n * drop in standard errors, were `drop` the truth.

    The share of images only the file gets right is not known; it is the likeliest one given `drop`, the
    root of a quadratic in Tango's section 3.
    """
    half_b = (-(b + c) + (2 * n - b + c) * drop) / 2
    root = math.sqrt(max(0.0, half_b**2 + 2 * n * c * drop * (1 - drop)))
    only_found = (root - half_b) / (2 * n)
    variance = n * (2 * only_found + drop * (1 - drop))
    distance = b - c - n * drop
    if variance <= 0:
        return 0.0 if distance == 0 else math.copysign(math.inf, distance)
    return distance / math.sqrt(variance)
