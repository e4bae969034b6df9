"""What MediaPipe Tasks must be told of a file that does more than name classes.

    segmentation    SEGMENTER_METADATA: its scores are logits, of which MediaPipe takes the softmax
    detection       DETECTOR_METADATA: the anchors one by one, and how locations are told from them; its
                    outputs are called location and score. Of boxes="raw" alone: MediaPipe decodes by itself

Tables and slots are those of image_segmenter_metadata_schema.fbs and object_detector_metadata_schema.fbs
(google-ai-edge/mediapipe, mediapipe/tasks/metadata).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exporters.tflite.packing import Float32, Int32, Table, packed
from mocovit_deploy.artifacts.task import DETECTION, SEGMENTATION
from mocovit_deploy.boxes.anchors import anchors_of
from mocovit_deploy.boxes.decode import RAW

IDENTIFIER = b"V001"
PARSER_VERSION = "1.0.0"
SOFTMAX = 2
"""Of the enumeration Activation."""
BOUNDING_BOX, BOUNDARIES, RATIO = 3, 1, 0
"""Of ContentProperties, BoundingBoxType and CoordinateType: corners in parts of the image."""


def custom_metadata(task: Mapping[str, Any]) -> list[Table]:
    """The CustomMetadata tables for a file that does `task`; none of one that says nothing."""
    if task.get("kind") == SEGMENTATION:
        options = packed(Table(2, {0: SOFTMAX, 1: PARSER_VERSION}), IDENTIFIER)
        return [Table(2, {0: "SEGMENTER_METADATA", 1: options})]
    if decodes_itself(task):
        return [Table(2, {0: "DETECTOR_METADATA", 1: _detector(task)})]
    return []


def decodes_itself(task: Mapping[str, Any]) -> bool:
    """Is it a detector whose boxes MediaPipe decodes?"""
    return task.get("kind") == DETECTION and task.get("boxes") == RAW


def _detector(task: Mapping[str, Any]) -> bytes:
    """ObjectDetectorOptions: fixed anchors, and the box coder of `mocovit_deploy/boxes/decode.py`."""
    fixed = [
        Table(4, {0: Float32(x), 1: Float32(y), 2: Float32(width), 3: Float32(height)})
        for y, x, height, width in anchors_of(task).tolist()
    ]
    y_scale, x_scale, h_scale, w_scale = task["scales"]
    decoding = {
        0: Int32(task["classes"]),
        1: Int32(len(fixed)),
        2: Int32(4),
        5: Int32(2),  # numbers of a keypoint: there are none, but MediaPipe insists on two
        6: Float32(x_scale),
        7: Float32(y_scale),
        8: Float32(w_scale),
        9: Float32(h_scale),
        10: 1,  # exponential sizes
        11: 1,  # sigmoid of scores
    }
    schema = Table(1, {0: Table(1, {0: fixed})})
    return packed(Table(3, {0: PARSER_VERSION, 1: schema, 2: Table(12, decoding)}), IDENTIFIER)


def content(task: Mapping[str, Any], output: str) -> Table | None:
    """What the schema calls the content of an output: boxes of a detector; None of anything else."""
    if name_told(task, output) != "location" or not decodes_itself(task):
        return None
    corners = Table(3, {0: [1, 0, 3, 2], 1: BOUNDARIES, 2: RATIO})
    return Table(3, {0: BOUNDING_BOX, 1: corners})


def name_told(task: Mapping[str, Any], output: str) -> str:
    """What MediaPipe is to call an output: location or score of a detector, its own name elsewhere."""
    if not decodes_itself(task):
        return output
    words = {task["outputs"]["boxes"]: "location", task["outputs"]["scores"]: "score"}
    return words.get(output, output)


def labelled_output(task: Mapping[str, Any]) -> str | None:
    """The output whose classes labels name, if it is no classifier's."""
    role = {SEGMENTATION: "segmentation", DETECTION: "scores"}.get(str(task.get("kind")))
    outputs: Mapping[str, str] = task.get("outputs", {})
    return None if role is None else outputs.get(role)
