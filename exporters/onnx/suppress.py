"""A detector's ONNX file with ONNX's own NonMaxSuppression behind its raw outputs.

    before   image - network - scores, boxes                                  logits and locations
    after    image - network - scores - Sigmoid ------------.
                             - boxes  - decode by anchors --+- NonMaxSuppression - TopK - detection_scores
                                                                                        - detection_classes
                                                                                        - detection_boxes

Each output has one row for each object, the best first; an image without objects has none. The network's
nodes are unchanged. NonMaxSuppression takes scores above a bound, so it is given the float below the least
score.

Source    ONNX's operators, NonMaxSuppression of opset 11; the box coder of `mocovit_deploy/boxes/decode.py`
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from exporters.onnx.run import session
from mocovit_deploy.artifacts.artifact import Array, Artifact
from mocovit_deploy.boxes.anchors import anchors_of
from mocovit_deploy.boxes.decode import LARGEST_EXPONENT, Detection, Limits, detection
from mocovit_deploy.extras import needs_extra
from mocovit_deploy.files import write_atomically
from mocovit_deploy.spec import TensorSpec

BEST_CLASS_ALONE = False
"""An anchor can be an object of several classes."""
BOXES, CLASSES, SCORES = "detection_boxes", "detection_classes", "detection_scores"
PREFIX = "suppress_"
"""The beginning of the names of all values that are added."""
OBJECTS = "objects"
"""The name of the dimension that is as long as the objects are many."""


def write_suppressed(
    artifact: Artifact, path: Path, _labels: Sequence[str], limits: Limits
) -> tuple[TensorSpec, ...]:
    """Write the file of a detector to `path` with suppression behind it, which replaces its outputs.

    Its outputs must be raw, with batch 1. Returns the outputs that it then has.
    """
    onnx = needs_extra("onnx", "onnx")
    model = onnx.load(str(artifact.path))
    _append(onnx, model.graph, artifact.task or {}, limits)
    onnx.checker.check_model(model, full_check=True)
    write_atomically(path, model.SerializeToString(deterministic=True))
    return (
        TensorSpec(BOXES, (OBJECTS, 4), "float32"),
        TensorSpec(CLASSES, (OBJECTS,), "int64"),
        TensorSpec(SCORES, (OBJECTS,), "float32"),
    )


def write_suppression(artifact: Artifact, path: Path, limits: Limits) -> None:
    """Write to `path` only what `write_suppressed` adds, with the file's raw outputs as its inputs."""
    onnx = needs_extra("onnx", "onnx")
    whole = onnx.load(str(artifact.path))
    inputs = [
        onnx.helper.make_tensor_value_info(one.name, onnx.TensorProto.FLOAT, one.shape)
        for one in artifact.outputs
    ]
    graph = onnx.helper.make_graph([], "suppression", inputs, [])
    _append(onnx, graph, artifact.task or {}, limits)
    model = onnx.helper.make_model(graph, opset_imports=whole.opset_import, ir_version=whole.ir_version)
    onnx.checker.check_model(model, full_check=True)
    write_atomically(path, model.SerializeToString(deterministic=True))


def load_suppressed(
    path: Path, _inputs: Sequence[TensorSpec]
) -> Callable[[Mapping[str, Array]], tuple[Detection, ...]]:
    """The file in ONNX Runtime: from named inputs to the objects that it finds, the best first."""
    opened, _ = session(str(path), path)

    def run(inputs: Mapping[str, Array]) -> tuple[Detection, ...]:
        boxes, classes, scores = opened.run([BOXES, CLASSES, SCORES], dict(inputs))
        rows = zip(classes, scores, boxes, strict=True)
        return tuple(detection(label, score, box) for label, score, box in rows)

    return run


def _append(onnx: Any, graph: Any, task: Mapping[str, Any], limits: Limits) -> None:
    priors = anchors_of(task).astype(np.float32)
    scales = np.array(task["scales"], np.float32)

    def constant(name: str, value: Any) -> str:
        graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), PREFIX + name))
        return PREFIX + name

    def node(kind: str, inputs: Sequence[str], *outputs: str, **attributes: Any) -> str:
        made = [one if one in (BOXES, CLASSES, SCORES) else PREFIX + one for one in outputs]
        name = f"{PREFIX}{outputs[-1]}"
        graph.node.append(onnx.helper.make_node(kind, list(inputs), made, name=name, **attributes))
        return made[-1]

    scores, boxes = task["outputs"]["scores"], task["outputs"]["boxes"]
    likely = node("Transpose", [node("Sigmoid", [scores], "shares")], "by_class", perm=[0, 2, 1])
    told = node("Div", [boxes, constant("scales", scales)], "told")
    node("Split", [told, constant("halves", np.array([2, 2]))], "middles", "sizes", axis=2)
    step = node("Mul", [f"{PREFIX}middles", constant("anchor_sides", priors[:, 2:])], "step")
    middle = node("Add", [step, constant("anchor_middles", priors[:, :2])], "middle")
    bounded = node("Min", [f"{PREFIX}sizes", constant("largest", np.float32(LARGEST_EXPONENT))], "bounded")
    half_sides = constant("anchor_half_sides", priors[:, 2:] / 2)
    half = node("Mul", [node("Exp", [bounded], "grown"), half_sides], "half")
    ends = node("Sub", [middle, half], "begins"), node("Add", [middle, half], "ends")
    corners = node("Concat", ends, "corners", axis=2)
    bound = np.nextafter(np.float32(limits.least_score), np.float32(0))
    kept = node(
        "NonMaxSuppression",
        [
            *(corners, likely),
            constant("most", np.array([limits.most])),
            constant("most_overlap", np.array([limits.most_overlap], np.float32)),
            constant("least_score", np.array([bound], np.float32)),
        ],
        "kept",
    )
    found = node("GatherND", [likely, kept], "found")
    count = node("Min", [node("Shape", [found], "many"), f"{PREFIX}most"], "count")
    node("TopK", [found, count], SCORES, "order", axis=0)
    order = f"{PREFIX}order"
    label = node("Gather", [kept, constant("label_column", np.int64(1))], "labels", axis=1)
    place = node("Gather", [kept, constant("place_column", np.int64(2))], "places", axis=1)
    node("Gather", [label, order], CLASSES, axis=0)
    best = node("Gather", [place, order], "best", axis=0)
    flat = node("Squeeze", [corners, constant("image_axis", np.array([0]))], "flat")
    node("Gather", [flat, best], BOXES, axis=0)
    del graph.output[:]
    for name, kind, shape in (
        (BOXES, onnx.TensorProto.FLOAT, [OBJECTS, 4]),
        (CLASSES, onnx.TensorProto.INT64, [OBJECTS]),
        (SCORES, onnx.TensorProto.FLOAT, [OBJECTS]),
    ):
        graph.output.append(onnx.helper.make_tensor_value_info(name, kind, shape))
