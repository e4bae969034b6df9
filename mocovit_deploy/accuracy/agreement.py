"""How far a segmenter's or a detector's file agrees with the network it came from, image by image.

    segmentation            the share of the map's places that get the same class
    detection, instances    2 m / (a + b): the network finds a objects, the file b, m of them are the same;
                            1 if neither finds any

There are no labels here: the network's own answers stand in for them. 1 less the agreement is what an image
loses. The same objects are those of one class whose boxes overlap by at least half (`parity/task.py`).

Source    2 m / (a + b) is the F1 score, van Rijsbergen, Information Retrieval, 1979, chapter 7
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.artifacts.task import DETECTION, INSTANCES, SEGMENTATION
from mocovit_deploy.boxes.decode import Detection, decoded
from mocovit_deploy.errors import ParityError
from mocovit_deploy.parity.task import compared_objects, matched

JUDGED = (SEGMENTATION, DETECTION, INSTANCES)
"""The kinds of tasks that files can be judged by in this way."""


@dataclass(frozen=True)
class Objects:
    """The objects in one image."""

    best: tuple[Detection, ...]
    wider: tuple[Detection, ...]
    """Those just beyond the limits too, so that an object at a limit of one side is found on the other."""


Answer = Objects | npt.NDArray[np.int16] | None
"""The objects in one image; or the class of each place, (rows, columns); None for NaN or infinity."""


def answer_of(task: Mapping[str, Any], outputs: Mapping[str, Array]) -> Answer:
    """The answer to one image, from a network's outputs by name, batch 1; `task` is in its manifest."""
    if task["kind"] == SEGMENTATION:
        scores = np.asarray(outputs[task["outputs"][SEGMENTATION]])[0]
        return scores.argmax(axis=-1).astype(np.int16) if np.isfinite(scores).all() else None
    try:
        found = decoded(task, outputs)
    except ParityError:
        return None
    return Objects(compared_objects(found), compared_objects(found, wider=True))


def losses(original: Sequence[Answer], found: Sequence[Answer]) -> npt.NDArray[np.float64]:
    """What each image loses, (images,), from 0 to 1. An image without an answer loses all.

    Raises `ValueError` unless there are as many answers on both sides, and some.
    """
    if not original:
        raise ValueError("no images to judge")
    return np.array([1.0 - _agreement(one, other) for one, other in zip(original, found, strict=True)])


def _agreement(one: Answer, other: Answer) -> float:
    if one is None or other is None:
        return 0.0
    if isinstance(one, Objects) and isinstance(other, Objects):
        # Each side's objects are looked for among the other's wider ones.
        same = len(matched(one.best, other.wider)) + len(matched(other.best, one.wider))
        every = len(one.best) + len(other.best)
        return same / every if every else 1.0
    return float(np.mean(np.asarray(one) == np.asarray(other)))
