"""Generate code that loads a file, prepares an image and names the classes, from the file's manifest.

    TFLite    Kotlin for Android, Python
    Core ML   Swift, Python (macOS)
    ONNX      Python

Templates lie in `templates/`. Every word between two @ is replaced by a value from the manifest.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.artifacts.provenance import labels_of
from mocovit_deploy.errors import ConversionError, UsageError
from mocovit_deploy.files import write_atomically
from mocovit_deploy.ship.metadata import classifier_output, labels_text
from mocovit_deploy.ship.task_code import DECODES, require_one_image, task_code
from mocovit_deploy.spec import Preprocessing, TensorSpec
from mocovit_deploy.terminal.printable import printable

TEMPLATES: Mapping[str, Mapping[str, str]] = {
    "tflite": {".kt": "tflite.kt.txt", ".py": "python.py.txt"},
    "coreml": {".swift": "coreml.swift.txt", ".py": "python.py.txt"},
    "coreml_picture": {".swift": "coreml_picture.swift.txt", ".py": "python.py.txt"},
    "onnx": {".py": "python.py.txt"},
}
"""Suffix and template of the code, by kind of file. Core ML takes pixels as a picture, numbers as an
array."""

PYTHON_RUNTIMES = {
    "tflite": ("numpy, pillow and ai-edge-litert", "from ai_edge_litert.interpreter import Interpreter\n"),
    "onnx": ("numpy, pillow and onnxruntime", "import onnxruntime\n"),
    "coreml": ("macOS, numpy, pillow and coremltools", "import coremltools\n"),
}
"""By format, the packages that the Python code needs, and its import."""

JAVA_TYPES = {"float32": "FLOAT32", "uint8": "UINT8"}


def app_code(artifact: Artifact, labels: tuple[str, ...] = ()) -> dict[str, str]:
    """The text of each file to write beside an exported file, by file name, with its labels.

    Raises `UsageError` unless the network takes one image, with batch 1, and returns one (batch, classes), or
    is a segmenter or detector of this package.
    """
    words = _words(artifact, labels)
    if _kind_of_task(artifact.task) in DECODES:
        code = {
            f"{artifact.path.name}{suffix}": text
            for suffix, text in task_code(artifact, words, _filled).items()
        }
    else:
        code = {
            f"{artifact.path.name}{suffix}": _filled(template, words)
            for suffix, template in TEMPLATES[_kind(artifact)].items()
        }
    if labels:
        code[_labels_file(artifact)] = labels_text(labels)
    return code


def require_codable(
    name: str, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], task: Mapping[str, Any] | None
) -> None:
    """Raise `UsageError` unless code can be written for a network with these inputs, outputs and task."""
    if _kind_of_task(task) in DECODES:
        require_one_image(name, inputs)
    else:
        require_one_classifier(name, inputs, outputs)


def _kind_of_task(task: Mapping[str, Any] | None) -> str:
    return str((task or {}).get("kind", ""))


def require_one_classifier(name: str, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> None:
    """Raise `UsageError` unless a network takes one square grey or colour image and gives one class of it.

    The image is (1, H, W, C) or (1, C, H, W), in float32 or uint8; the one output is (1, classes).
    """
    image = inputs[0]
    fits = len(inputs) == 1 and len(image.shape) == 4 and image.dtype in JAVA_TYPES
    if not fits or image.shape[0] != 1 or _channels(image) not in (1, 3):
        raise UsageError(
            f"{name}: code (--app-code) is written for networks of one grey or colour image, batch 1; this "
            f"one takes {', '.join(f'{one.name} {list(one.shape)} {one.dtype}' for one in inputs)}"
        )
    rows, columns = image.shape[1:3] if image.layout == "nhwc" else image.shape[2:]
    if rows != columns:
        raise UsageError(
            f"{name}: code (--app-code) is written for square images; this one takes {rows} x {columns}"
        )
    if len(outputs) > 1 or classifier_output(outputs) is None:
        raise UsageError(
            f"{name}: code (--app-code) is written for networks with one output (batch, classes); this one "
            f"has {', '.join(f'{one.name} {list(one.shape)}' for one in outputs)}"
        )


def write_app_code(path: Path) -> tuple[Path, ...]:
    """Write the code for the exported file at `path` beside it; returns the paths that were written.

    Raises the errors of `read_manifest` and `app_code`, and `OSError` if the folder cannot be written.
    """
    artifact = read_manifest(path)
    written = []
    for name, text in app_code(artifact, labels_of(artifact)).items():
        write_atomically(path.with_name(name), text.encode())
        written.append(path.with_name(name))
    return tuple(written)


def _filled(template: str, words: Mapping[str, str]) -> str:
    filled = re.sub(r"@([A-Z_]+)@", lambda found: words[found[1]], _template(template))
    if left := re.search(r"@[A-Z_]+@", filled):
        raise ConversionError(f"{template}: {left[0]} was not filled in; this is a defect: report it")
    return filled


def _template(name: str) -> str:
    return files(__package__).joinpath("templates", name).read_text(encoding="utf-8")


def _words(artifact: Artifact, labels: tuple[str, ...]) -> dict[str, str]:
    require_codable(artifact.path.name, artifact.inputs, artifact.outputs, artifact.task)
    image, output = artifact.inputs[0], artifact.outputs[0]
    size, channels = int(image.shape[-2]), _channels(image)
    how, raw = artifact.preprocessing, image.dtype == "uint8"
    bgr = how.colour_order == "BGR"
    mean, std = how.mean[:channels], how.std[:channels]
    names = _labels_file(artifact)
    words = {
        "MODEL": artifact.model,
        "RECIPE": artifact.recipe,
        "SUMMARY": _comment(f"weights {artifact.weights}"),
        "FILE": artifact.path.name,
        "STEM": artifact.path.stem,
        "SCRIPT": f"{artifact.path.name}.py",
        "CLASS": _class_name(artifact.path.stem),
        "INPUT": image.name,
        "INPUT_SHAPE": _list(image.shape),
        "INPUT_SHAPE_TEXT": f"({_list(image.shape)})",
        "INPUT_DTYPE": image.dtype,
        "INPUT_DTYPE_JAVA": JAVA_TYPES[image.dtype],
        "INPUT_BYTES": "1" if raw else "4",
        "OUTPUT": output.name,
        "OUTPUT_SHAPE": _list(output.shape),
        "OUTPUT_COUNT": str(math.prod(int(n) for n in output.shape)),
        "SIZE": str(size),
        "CHANNELS": str(channels),
        "COLOUR_ORDER": how.colour_order,
        "FORMULA": _formula(how),
        "SCALE": repr(how.scale),
        "MEAN": ", ".join(map(repr, mean)) + ("," if channels == 1 else ""),
        "STD": ", ".join(map(repr, std)) + ("," if channels == 1 else ""),
        "MEAN_KOTLIN": ", ".join(f"{value!r}f" for value in mean),
        "STD_KOTLIN": ", ".join(f"{value!r}f" for value in std),
        "SHIFT_KOTLIN": "(8 * channel)" if bgr else "(16 - 8 * channel)",
        "CHANNEL_SWIFT": "(2 - channel)" if bgr else "channel",
        "LABELS_NOTE": f", {names} beside it" if labels else "",
        "LABELS_KOTLIN": (
            f'assets.open("{names}").bufferedReader().useLines {{ it.toList() }}' if labels else "emptyList()"
        ),
        "LABELS_SWIFT": _labels_swift(names) if labels else "[]",
        "LABELS_PYTHON": _labels_python(names) if labels else "    return []",
        "LAYOUT_PYTHON": "" if image.layout == "nhwc" else ".transpose(2, 0, 1)",
        "FILL_KOTLIN": _fill_kotlin(image, raw=raw),
        "FILL_PYTHON": (
            "    tensor = pixels" if raw else "    tensor = (pixels * SCALE - np.array(MEAN)) / np.array(STD)"
        ),
    }
    needs, imported = PYTHON_RUNTIMES[artifact.format]
    runtime = {"PYTHON_NEEDS": needs, "PYTHON_RUNTIME_IMPORT": imported}
    parts = {"RUN_PYTHON": f"outputs_{_kind(artifact)}.py.txt", "MAIN": "main.py.txt"}
    return words | runtime | {word: _template(name).strip() for word, name in parts.items()}


def _kind(artifact: Artifact) -> str:
    """The key of `TEMPLATES` for a file."""
    pixels = artifact.format == "coreml" and artifact.inputs[0].dtype == "uint8"
    return "coreml_picture" if pixels else artifact.format


def _channels(image: TensorSpec) -> int:
    return int(image.shape[-1 if image.layout == "nhwc" else 1])


def _comment(text: str) -> str:
    """`text` on one line, without characters that end a comment or a docstring.

    A checkpoint can have any name.
    """
    for ends, instead in (('"', "'"), ("\\", "/"), ("*/", "* /")):
        text = text.replace(ends, instead)
    return " ".join(printable(text, keep="\n").split())


def _list(shape: tuple[int | str, ...]) -> str:
    return ", ".join(map(str, shape))


def _labels_file(artifact: Artifact) -> str:
    return f"{artifact.path.name}.labels.txt"


def _formula(how: Preprocessing) -> str:
    within = how.built_in or how
    assumed = f" (assumed, not given: {', '.join(within.assumed)})" if within.assumed else ""
    if how.built_in is not None:
        return f"pixels 0 to 255, which the network normalizes by itself{assumed}"
    if (how.scale, set(how.mean), set(how.std)) == (1.0, {0.0}, {1.0}):
        return f"pixels 0 to 255{assumed}"
    return f"(pixel * {how.scale:.6g} - mean) / std, pixels 0 to 255{assumed}"


def _class_name(stem: str) -> str:
    """The name of a file without suffix as a type name.

    >>> _class_name("mocovit_1_0_224_fp32")
    'Mocovit10224Fp32'
    >>> _class_name("2net")
    'Network2net'
    """
    name = "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", stem))
    return name if name[:1].isalpha() else f"Network{name}"


def _fill_kotlin(image: TensorSpec, *, raw: bool) -> str:
    put = "tensor.put(value(pixel, channel).toByte())"
    if not raw:
        put = "tensor.putFloat((value(pixel, channel) * SCALE - MEAN[channel]) / STD[channel])"
    if image.layout == "nhwc":
        return f"        for (pixel in pixels) for (channel in 0 until CHANNELS) {put}"
    return f"        for (channel in 0 until CHANNELS) for (pixel in pixels) {put}"


def _labels_swift(name: str) -> str:
    stem, _, suffix = name.rpartition(".")
    return (
        f'try String(contentsOf: bundle.url(forResource: "{stem}", withExtension: "{suffix}")!, '
        'encoding: .utf8).split(separator: "\\n").map(String.init)'
    )


def _labels_python(name: str) -> str:
    return f'    return FILE.with_name("{name}").read_text(encoding="utf-8").splitlines()'
