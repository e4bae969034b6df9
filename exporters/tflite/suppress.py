"""A detector's TFLite file with TFLite_Detection_PostProcess behind its raw outputs.

    before   image - network - scores, boxes                                  logits and locations
    after    image - network - boxes --------------- TFLite_Detection_PostProcess - detection_boxes
                             - scores - LOGISTIC --'   |                          - detection_classes
                                           anchors ----'                          - detection_scores
                                                                                  - num_detections

The outputs have as many rows as objects are kept at most; those behind `num_detections` are unused. The
operator is not one of the builtin ones, but TFLite's own resolvers know it, in LiteRT and in the runtimes
1.x. It decodes boxes, and suppresses them for each class by itself ("regular"). No delegate takes it.

Source    tensorflow/lite/kernels/detection_postprocess.cc; its options are a FlexBuffer map
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from exporters.tflite.direct.file import File
from exporters.tflite.flatbuffer import model_bytes, read_model
from exporters.tflite.metadata import without_archive
from exporters.tflite.run import interpreter
from mocovit_deploy.artifacts.artifact import Array, Artifact
from mocovit_deploy.boxes.anchors import anchors_of
from mocovit_deploy.boxes.decode import Detection, Limits, detection
from mocovit_deploy.extras import needs_extra
from mocovit_deploy.files import write_atomically
from mocovit_deploy.spec import TensorSpec

BEST_CLASS_ALONE = False
"""An anchor can be an object of several classes."""
OPERATOR = "TFLite_Detection_PostProcess"
BOXES, CLASSES, SCORES, COUNT = (
    "detection_boxes",
    "detection_classes",
    "detection_scores",
    "num_detections",
)


def write_suppressed(
    artifact: Artifact, path: Path, _labels: Sequence[str], limits: Limits
) -> tuple[TensorSpec, ...]:
    """Write the file of a detector to `path` with suppression behind it, which replaces its outputs.

    Its outputs must be raw, with batch 1. Returns the outputs that it then has; its description is still that
    of the others.
    """
    model = read_model(without_archive(artifact.path.read_bytes()))
    _append(model, artifact.task or {}, limits)
    write_atomically(path, model_bytes(model))
    return tuple(TensorSpec(name, shape, "float32") for name, shape in _shapes(limits).items())


def write_suppression(artifact: Artifact, path: Path, limits: Limits) -> None:
    """Write to `path` only what `write_suppressed` adds, with the file's raw outputs as its inputs."""
    file, raw = File(), artifact.outputs
    inputs = {one.name: file.tensor([int(n) for n in one.shape], np.float32, one.name) for one in raw}
    model = file.finish(inputs, inputs)
    _append(model, artifact.task or {}, limits)
    write_atomically(path, model_bytes(model))


def load_suppressed(
    path: Path, inputs: Sequence[TensorSpec]
) -> Callable[[Mapping[str, Array]], tuple[Detection, ...]]:
    """The file in the installed runtime: from named `inputs` to the objects that it finds, the best first."""
    opened = interpreter().interpreter_class(model_path=str(path))
    opened.allocate_tensors()
    runner = opened.get_signature_runner()
    names = [one.name for one in inputs]

    def run(arrays: Mapping[str, Array]) -> tuple[Detection, ...]:
        found = runner(**{name: arrays[name] for name in names})
        count = int(found[COUNT][0])
        rows = zip(found[CLASSES][0], found[SCORES][0], found[BOXES][0], strict=True)
        return tuple(detection(label, score, box) for label, score, box in rows)[:count]

    return run


def _append(model: Any, task: Mapping[str, Any], limits: Limits) -> None:
    """Put the operators behind the raw outputs of the tables `model`, in place."""
    schema = needs_extra("ai_edge_litert.schema_py_generated", "tflite")
    graph, signature = model.subgraphs[0], model.signatureDefs[0]
    raw = {entry.name.decode(): int(entry.tensorIndex) for entry in signature.outputs}
    scores, boxes = (raw[task["outputs"][role]] for role in ("scores", "boxes"))

    def tensor(name: str, shape: Sequence[int], constant: Array | None = None) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.type = name.encode(), list(shape), schema.TensorType.FLOAT32
        made.hasRank, made.buffer = True, 0
        if constant is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(constant.tobytes(), np.uint8)
            made.buffer = len(model.buffers)
            model.buffers.append(buffer)
        graph.tensors.append(made)
        return len(graph.tensors) - 1

    def operator(inputs: Sequence[int], outputs: Sequence[int], kind: int, custom: str = "") -> Any:
        code, made = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode, code.deprecatedBuiltinCode, code.version = kind, kind, 1
        code.customCode = custom.encode() if custom else None
        made.opcodeIndex, made.inputs, made.outputs = len(model.operatorCodes), list(inputs), list(outputs)
        model.operatorCodes.append(code)
        graph.operators.append(made)
        return made

    shares = tensor("suppress_scores", graph.tensors[scores].shape)
    operator([scores], [shares], schema.BuiltinOperator.LOGISTIC)
    priors = anchors_of(task).astype(np.float32)
    anchors = tensor("anchors", priors.shape, priors)
    outputs = {name: tensor(name, shape) for name, shape in _shapes(limits).items()}
    made = operator([boxes, shares, anchors], list(outputs.values()), schema.BuiltinOperator.CUSTOM, OPERATOR)
    made.customOptions = np.frombuffer(_options(task, limits), np.uint8)
    made.customOptionsFormat = schema.CustomOptionsFormat.FLEXBUFFERS
    graph.outputs = list(outputs.values())
    signature.outputs = []
    for name, index in outputs.items():
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name.encode(), index
        signature.outputs.append(entry)


def _shapes(limits: Limits) -> dict[str, tuple[int, ...]]:
    """The shapes of the operator's outputs, in their order."""
    most = limits.most
    return {BOXES: (1, most, 4), CLASSES: (1, most), SCORES: (1, most), COUNT: (1,)}


def _options(task: Mapping[str, Any], limits: Limits) -> bytes:
    """The operator's options. It keeps scores of at least the bound, as `boxes/decode.py` does."""
    flexbuffers = needs_extra("flatbuffers.flexbuffers", "tflite")
    y_scale, x_scale, h_scale, w_scale = map(float, task["scales"])
    options = {
        "max_detections": limits.most,
        "max_classes_per_detection": 1,
        "detections_per_class": limits.most,
        "use_regular_nms": True,
        "nms_score_threshold": float(np.float32(limits.least_score)),
        "nms_iou_threshold": limits.most_overlap,
        "num_classes": int(task["classes"]),
        "y_scale": y_scale,
        "x_scale": x_scale,
        "h_scale": h_scale,
        "w_scale": w_scale,
    }
    return bytes(flexbuffers.Dumps(options))
