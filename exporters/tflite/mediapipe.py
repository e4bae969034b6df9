"""What MediaPipe Tasks must be told of a file that does more than name classes.

    segmentation    SEGMENTER_METADATA: its scores are logits, of which MediaPipe takes the softmax

Tables and slots are those of image_segmenter_metadata_schema.fbs (google-ai-edge/mediapipe,
mediapipe/tasks/metadata).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exporters.tflite.packing import Table, packed
from mocovit_deploy.artifacts.task import SEGMENTATION

IDENTIFIER = b"V001"
PARSER_VERSION = "1.0.0"
SOFTMAX = 2
"""Of the enumeration Activation."""


def custom_metadata(task: Mapping[str, Any]) -> list[Table]:
    """The CustomMetadata tables for a file that does `task`; none of one that says nothing."""
    if task.get("kind") != SEGMENTATION:
        return []
    options = packed(Table(2, {0: SOFTMAX, 1: PARSER_VERSION}), IDENTIFIER)
    return [Table(2, {0: "SEGMENTER_METADATA", 1: options})]


def labelled_output(task: Mapping[str, Any]) -> str | None:
    """The output whose classes labels name, if it is no classifier's."""
    outputs: Mapping[str, str] = task.get("outputs", {})
    return outputs.get("segmentation") if task.get("kind") == SEGMENTATION else None
