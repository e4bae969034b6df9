"""The figures of answers on scenes: box AP, mask AP or mean IoU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from examples.scenes.data import Scene
from examples.scenes.metrics import (
    BOXES,
    MASKS,
    Figure,
    average_precision,
    coco_truth,
    confusion,
    figure_of,
    matched,
    mean_iou,
)
from mocovit_deploy.artifacts.task import DETECTION, INSTANCES, SEGMENTATION

BOX_AP, MASK_AP, MEAN_IOU = "box AP", "mask AP", "mean IoU"
FIGURES = {DETECTION: (BOX_AP,), INSTANCES: (BOX_AP, MASK_AP), SEGMENTATION: (MEAN_IOU,)}
"""The figures of each kind of network, by the names that they have in tables."""


def values(kind: str, scenes: Sequence[Scene], found: Any) -> dict[str, float]:
    """Each figure of the `answers.Answers` of a network of this kind, from 0 to 1."""
    return {name: compute(judged, None) for name, judged, compute in _judged(kind, scenes, found)}


def figures(kind: str, scenes: Sequence[Scene], found: Any) -> dict[str, Figure]:
    """The same, each also on scenes drawn anew."""
    return {
        name: figure_of(judged, len(scenes), compute)
        for name, judged, compute in _judged(kind, scenes, found)
    }


def _judged(kind: str, scenes: Sequence[Scene], found: Any) -> list[tuple[str, Any, Any]]:
    """Each figure's name, what it is computed from, and by what."""
    if kind == SEGMENTATION:
        return [(MEAN_IOU, confusion(scenes, found), mean_iou)]
    truth, whats = coco_truth(scenes), {BOX_AP: BOXES, MASK_AP: MASKS}
    return [(name, matched(truth, found, whats[name]), average_precision) for name in FIGURES[kind]]
