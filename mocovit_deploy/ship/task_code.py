"""Write code that loads the file of a segmenter or a detector, prepares an image and decodes the outputs.

    segmentation    segment(image): the class of each pixel
    detection       detect(image): name, score and box of each object; this code also suppresses boxes
    instances       detect(image): the same, and the pixels of each object (Python alone)

Python for every file, Kotlin for TFLite, Swift for Core ML. On Android and iOS, MediaPipe Tasks also reads
the TFLite files unchanged (docs/tasks.md). The templates are in `templates/`, beside those of `app_code`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.task import DETECTION, INSTANCES, SEGMENTATION
from mocovit_deploy.boxes.anchors import anchors_of
from mocovit_deploy.boxes.decode import DECODED
from mocovit_deploy.errors import UsageError
from mocovit_deploy.spec import TensorSpec

PYTHON, KOTLIN, SWIFT = ".py", ".kt", ".swift"
DECODES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    SEGMENTATION: {
        PYTHON: ("segment.py.txt",),
        KOTLIN: ("segment.kt.txt",),
        SWIFT: ("segment.swift.txt",),
    },
    DETECTION: {
        PYTHON: ("objects.py.txt", "detect.py.txt"),
        KOTLIN: ("detect.kt.txt",),
        SWIFT: ("detect.swift.txt",),
    },
    INSTANCES: {PYTHON: ("objects.py.txt", "instances.py.txt")},
}
"""The templates that decode the outputs, by the kind of task and the language."""
LANGUAGES = {"tflite": (PYTHON, KOTLIN), "coreml": (PYTHON, SWIFT), "onnx": (PYTHON,)}
"""The languages of each format."""
USES = {
    SEGMENTATION: {
        KOTLIN: "network.segment(bitmap).toSet().map(network::nameOf)",
        SWIFT: "for label in Set(try network.segment(image)) { print(network.name(of: label)) }",
    },
    DETECTION: {
        KOTLIN: "network.detect(bitmap).forEach { found -> ... }",
        SWIFT: "for found in try network.detect(image) { print(found.name, found.score) }",
    },
}
"""How an app calls the code."""

Fill = Callable[[str, Mapping[str, str]], str]


def require_one_image(name: str, inputs: Sequence[TensorSpec]) -> None:
    """Raise `UsageError` unless a network takes one colour image, with batch 1."""
    image = inputs[0]
    channels = image.shape[-1 if image.layout == "nhwc" else 1] if len(image.shape) == 4 else 0
    fits = len(inputs) == 1 and image.dtype in ("float32", "uint8")
    if not fits or channels != 3 or image.shape[0] != 1:
        raise UsageError(
            f"{name}: code (--app-code) is written for networks of one colour image, batch 1; this one takes "
            f"{', '.join(f'{one.name} {list(one.shape)} {one.dtype}' for one in inputs)}"
        )


def task_code(artifact: Artifact, words: Mapping[str, str], fill: Fill) -> dict[str, str]:
    """The code for one file by suffix; its network fits `require_one_image`, its task is in `DECODES`.

    `words` replace placeholders, by name; `fill` takes a template's name and words, and gives its text.
    """
    task: Mapping[str, Any] = artifact.task or {}
    image = artifact.inputs[0]
    height, width = map(int, image.shape[1:3] if image.layout == "nhwc" else image.shape[2:])
    own = {"HEIGHT": str(height), "WIDTH": str(width), **_names(task)}
    decodes = DECODES[task["kind"]]
    written = {}
    for language in (one for one in LANGUAGES[artifact.format] if one in decodes):
        of_language = {
            PYTHON: lambda: _python(artifact, task),
            KOTLIN: lambda: _kotlin(artifact, task, (height, width)),
            SWIFT: lambda: _swift(artifact, task, (height, width)),
        }[language]()
        all_words = {**words, **own, **of_language}
        if language == SWIFT:
            picture = "_picture" if image.dtype == "uint8" else ""
            prepare = fill(f"prepare_coreml{picture}.swift.txt", all_words)
            all_words["PREPARE_SWIFT"] = prepare.rstrip()
        parts = [fill(one, all_words).strip("\n") for one in decodes[language]]
        joined = "\n\n\n".join(parts)
        written[language] = fill(f"task{language}.txt", {**all_words, "DECODE": joined})
    return written


def _python(artifact: Artifact, task: Mapping[str, Any]) -> dict[str, str]:
    outputs = ", ".join(f'"{one.name}": {tuple(one.shape)}' for one in artifact.outputs)
    return {"OUTPUTS": outputs, "CONSTANTS": _constants(task)}


def _kotlin(artifact: Artifact, task: Mapping[str, Any], sides: tuple[int, int]) -> dict[str, str]:
    shapes = ((one.name, ", ".join(map(str, one.shape))) for one in artifact.outputs)
    numbers = {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in _numbers(task, sides).items()
    }
    lines = [f"        private const val {name} = {value}" for name, value in numbers.items()]
    if task["kind"] == DETECTION:
        ratios, scales = (", ".join(f"{float(one)}f" for one in task[name]) for name in ("ratios", "scales"))
        lines += [
            f"        private const val ANCHOR_SIDE = {float(task['anchor_side'])}f",
            f"        private val STRIDES = intArrayOf({', '.join(map(str, task['strides']))})",
            f"        private val RATIOS = floatArrayOf({ratios})",
            f"        private val BOX_SCALES = floatArrayOf({scales})",
        ]
    return {
        "USE_KOTLIN": USES[task["kind"]][KOTLIN],
        "OUTPUTS_KOTLIN": ", ".join(f'"{name}" to intArrayOf({shape})' for name, shape in shapes),
        "CONSTANTS_KOTLIN": "\n".join(lines),
    }


SWIFT_NAMES = {
    "ROWS": "rows",
    "COLUMNS": "columns",
    "STRIDE": "stride",
    "CLASSES": "classCount",
    "ANCHORS": "anchorCount",
    "DECODED": "isDecoded",
}
"""The names of `_numbers` in Swift."""


def _swift(artifact: Artifact, task: Mapping[str, Any], sides: tuple[int, int]) -> dict[str, str]:
    height, width = sides
    (image,) = artifact.inputs
    known = {SWIFT_NAMES[name]: str(value).lower() for name, value in _numbers(task, sides).items()}
    lines = ["    static let " + ", ".join(f"{name} = {value}" for name, value in known.items())]
    if task["kind"] == DETECTION:
        ratios, scales = (", ".join(map(str, map(float, task[name]))) for name in ("ratios", "scales"))
        lines += [
            f"    static let anchorSide: Float = {float(task['anchor_side'])}",
            f"    static let strides = [{', '.join(map(str, task['strides']))}]",
            f"    static let ratios: [Float] = [{ratios}], boxScales: [Float] = [{scales}]",
        ]
    fits = (
        f"input.imageConstraint?.pixelsWide == {width} && input.imageConstraint?.pixelsHigh == {height}"
        if image.dtype == "uint8"
        else f"input.multiArrayConstraint?.shape == [{', '.join(map(str, image.shape))}]"
    )
    counts = ((one.name, math.prod(map(int, one.shape))) for one in artifact.outputs)
    return {
        "USE_SWIFT": USES[task["kind"]][SWIFT],
        "OUTPUTS_SWIFT": ", ".join(f'"{name}": {count}' for name, count in counts),
        "CONSTANTS_SWIFT": "\n".join(lines),
        "CHECK_SWIFT": f'precondition({fits}, "{artifact.path.name} is another network")',
    }


def _numbers(task: Mapping[str, Any], sides: tuple[int, int]) -> dict[str, int | bool]:
    """The whole numbers that decoding needs in Kotlin and Swift, and whether boxes are decoded already."""
    classes = int(task["classes"])
    if task["kind"] == SEGMENTATION:
        stride = int(task["stride"])
        rows, columns = (-(-side // stride) for side in sides)
        return {"ROWS": rows, "COLUMNS": columns, "STRIDE": stride, "CLASSES": classes}
    return {"CLASSES": classes, "ANCHORS": len(anchors_of(task)), "DECODED": task["boxes"] == DECODED}


def _names(task: Mapping[str, Any]) -> dict[str, str]:
    outputs: Mapping[str, str] = task["outputs"]
    if task["kind"] == SEGMENTATION:
        return {"SEGMENTATION": outputs["segmentation"]}
    named = {"SCORES": outputs["scores"], "BOXES_OUTPUT": outputs["boxes"]}
    masks = {role.upper(): outputs.get(role, "") for role in ("coefficients", "prototypes", "masks")}
    return {**named, **masks} if task["kind"] == INSTANCES else named


def _constants(task: Mapping[str, Any]) -> str:
    """The constants that decoding needs, as Python assignments."""
    if task["kind"] == SEGMENTATION:
        return f"STRIDE = {int(task['stride'])}\n"
    strides, ratios, scales = (tuple(task[name]) for name in ("strides", "ratios", "scales"))
    stride = f"MASK_STRIDE = {int(task['mask_stride'])}\n" if task["kind"] == INSTANCES else ""
    return (
        f'BOXES, ANCHOR_SIDE = "{task["boxes"]}", {float(task["anchor_side"])}\n'
        f"STRIDES, RATIOS, BOX_SCALES = {strides}, {ratios}, {scales}\n{stride}"
    )
