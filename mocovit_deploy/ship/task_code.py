"""Write Python that loads the file of a segmenter or a detector, prepares an image and decodes the outputs.

    segmentation    segment(image): the class of each pixel
    detection       detect(image): name, score and box of each object; this code also suppresses boxes
    instances       detect(image): the same, and the pixels of each object

On Android and iOS, MediaPipe Tasks reads the TFLite files unchanged (docs/tasks.md). The templates are in
`templates/`, beside those of `app_code`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.task import DETECTION, INSTANCES, SEGMENTATION
from mocovit_deploy.errors import UsageError
from mocovit_deploy.spec import TensorSpec

DECODES = {
    SEGMENTATION: ("segment.py.txt",),
    DETECTION: ("objects.py.txt", "detect.py.txt"),
    INSTANCES: ("objects.py.txt", "instances.py.txt"),
}
"""The templates that decode the outputs, by the kind of task."""

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


def task_code(artifact: Artifact, words: Mapping[str, str], fill: Fill) -> str:
    """The Python code for one file, whose network fits `require_one_image` and whose task is in `DECODES`.

    `words` replace placeholders, by name; `fill` takes a template's name and words, and gives its text.
    """
    task: Mapping[str, Any] = artifact.task or {}
    image = artifact.inputs[0]
    height, width = image.shape[1:3] if image.layout == "nhwc" else image.shape[2:]
    own = {
        "HEIGHT": str(height),
        "WIDTH": str(width),
        "OUTPUTS": ", ".join(f'"{one.name}": {tuple(one.shape)}' for one in artifact.outputs),
        "CONSTANTS": _constants(task),
        **_names(task),
    }
    decode = "\n\n\n".join(fill(one, own).strip() for one in DECODES[task["kind"]])
    return fill("task.py.txt", {**words, **own, "DECODE": decode})


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
