"""What a network or a file answers on scenes, in the form that metrics.py judges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from examples.digits.data import ByteArray
from examples.scenes.data import Scene, tensors
from examples.scenes.metrics import Results, as_results
from mocovit_deploy.artifacts.artifact import Array, Artifact, as_taken
from mocovit_deploy.artifacts.task import INSTANCES, SEGMENTATION
from mocovit_deploy.boxes.decode import detections
from mocovit_deploy.boxes.masks import enlarged, instances
from mocovit_deploy.errors import AccuracyError
from mocovit_deploy.formats import Predictor
from mocovit_deploy.spec import InputSpec, Preprocessing

if TYPE_CHECKING:
    from torch import nn

LEAST_SCORE = 0.05
"""Objects below it change AP little; RetinaNet's and YOLACT's evaluation leave them out as well."""

Answers = Results | list[ByteArray]
"""The objects in all scenes, or the class of each pixel of each scene."""


def answers(
    run: Callable[[Array], Mapping[str, Array]],
    task: Mapping[str, Any],
    scenes: Sequence[Scene],
    how: Preprocessing,
) -> Answers:
    """What `run` answers: (1, 3, S, S) -> outputs by name, decoded by `task`.

    Raises `AccuracyError` for an output with NaN or infinity, which is no answer.
    """
    size = len(scenes[0].picture)
    found: Results = []
    classes: list[ByteArray] = []
    for image, scene in enumerate(scenes):
        outputs = run(tensors([scene], InputSpec(size=size, preprocessing=how)))
        for name, values in outputs.items():
            if not np.isfinite(values).all():
                raise AccuracyError(f"{name} holds NaN or infinity on scene {image}")
        if task["kind"] == SEGMENTATION:
            classes.append(classes_of(outputs[task["outputs"]["segmentation"]][0], task, size))
        elif task["kind"] == INSTANCES:
            objects = instances(task, outputs, least_score=LEAST_SCORE)
            boxes, masks = [one.detection for one in objects], [one.mask for one in objects]
            found += as_results(image, boxes, masks, size)
        else:
            found += as_results(image, detections(task, outputs, least_score=LEAST_SCORE), None, size)
    return classes if task["kind"] == SEGMENTATION else found


def classes_of(scores: Array, task: Mapping[str, Any], size: int) -> ByteArray:
    """The class of each pixel, (S, S), from logits (rows, columns, classes), enlarged bilinearly."""
    large = enlarged(np.moveaxis(np.asarray(scores, np.float64), -1, 0), int(task["stride"]), (size, size))
    return np.asarray(large.argmax(axis=0), np.uint8)


def network_answers(network: nn.Module, task: Mapping[str, Any], scenes: Sequence[Scene]) -> Answers:
    """What the float network, in eval mode, answers. Its outputs have the names of its roles."""
    import torch

    def run(image: Array) -> dict[str, Array]:
        with torch.no_grad():
            return {name: value.numpy() for name, value in network(torch.from_numpy(image)).items()}

    return answers(run, task, scenes, Preprocessing())


def file_answers(artifact: Artifact, predictor: Predictor, scenes: Sequence[Scene]) -> Answers:
    """What a file answers, in its runtime. Needs no torch."""
    (taken,) = artifact.inputs
    assert artifact.task is not None
    run = lambda image: predictor({taken.name: as_taken(image, taken)})  # noqa: E731
    return answers(run, artifact.task, scenes, artifact.preprocessing)
