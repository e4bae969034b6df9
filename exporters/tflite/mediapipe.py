"""Metadata that MediaPipe Tasks needs in files for segmentation and detection.

    segmentation    SEGMENTER_METADATA: the scores are logits, and MediaPipe takes their softmax
    detection       DETECTOR_METADATA: every anchor, and how boxes are decoded from them. The outputs are
                    named location and score. Only for boxes="raw", which MediaPipe decodes by itself
    suppressed      the four outputs of TFLite_Detection_PostProcess, by the names that MediaPipe gives them

Tables and slots are those of image_segmenter_metadata_schema.fbs and object_detector_metadata_schema.fbs
(google-ai-edge/mediapipe, mediapipe/tasks/metadata).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exporters.tflite.packing import Float32, Int32, Table, packed
from mocovit_deploy.artifacts.task import DETECTION, SEGMENTATION
from mocovit_deploy.boxes.anchors import anchors_of
from mocovit_deploy.boxes.decode import RAW, SUPPRESSED

IDENTIFIER = b"V001"
PARSER_VERSION = "1.0.0"
SOFTMAX = 2
"""A value of the enumeration Activation."""
LOCATION, CATEGORY, SCORE = "location", "category", "score"
"""MediaPipe's names of a detector's outputs."""
OF_SUPPRESSED = {
    "detection_boxes": LOCATION,
    "detection_classes": CATEGORY,
    "detection_scores": SCORE,
    "num_detections": "number of detections",
}
"""The same of the outputs that `exporters.tflite.suppress` writes."""
BOUNDING_BOX, BOUNDARIES, RATIO = 3, 1, 0
"""Values of ContentProperties, BoundingBoxType and CoordinateType: corners, as shares of the image."""


def custom_metadata(task: Mapping[str, Any]) -> list[Table]:
    """The CustomMetadata tables for `task`, the task in the file's manifest; empty for classifiers."""
    if task.get("kind") == SEGMENTATION:
        options = packed(Table(2, {0: SOFTMAX, 1: PARSER_VERSION}), IDENTIFIER)
        return [Table(2, {0: "SEGMENTER_METADATA", 1: options})]
    if decodes_itself(task):
        return [Table(2, {0: "DETECTOR_METADATA", 1: _detector(task)})]
    return []


def decodes_itself(task: Mapping[str, Any]) -> bool:
    """Is `task` a detection whose boxes MediaPipe decodes?"""
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
        5: Int32(2),  # coordinates of a keypoint: MediaPipe requires 2, even without keypoints
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
    """The table Content (in the schema's words) of a detector's boxes; None for all other outputs."""
    read = decodes_itself(task) or task.get("boxes") == SUPPRESSED
    if name_told(task, output) != LOCATION or not read:
        return None
    corners = Table(3, {0: [1, 0, 3, 2], 1: BOUNDARIES, 2: RATIO})
    return Table(3, {0: BOUNDING_BOX, 1: corners})


def name_told(task: Mapping[str, Any], output: str) -> str:
    """The name of an output in the metadata: location or score for a detector, else its own name."""
    if task.get("boxes") == SUPPRESSED:
        return OF_SUPPRESSED.get(output, output)
    if not decodes_itself(task):
        return output
    words = {task["outputs"]["boxes"]: LOCATION, task["outputs"]["scores"]: SCORE}
    return words.get(output, output)


def labelled_output(task: Mapping[str, Any]) -> str | None:
    """The name of the output that labels belong to; None for classifiers (see `metadata`)."""
    if task.get("boxes") == SUPPRESSED:
        return next((output for output, word in OF_SUPPRESSED.items() if word == CATEGORY), None)
    role = {SEGMENTATION: "segmentation", DETECTION: "scores"}.get(str(task.get("kind")))
    outputs: Mapping[str, str] = task.get("outputs", {})
    return None if role is None else outputs.get(role)
