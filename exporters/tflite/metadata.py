"""The metadata of TensorFlow Lite: what MediaPipe Tasks and Android Studio read from a file.

    file    the flatbuffer, its entry TFLITE_METADATA: a flatbuffer M001 that describes inputs and outputs
            a ZIP archive behind it: labels.txt, metadata.json

Tables and slots are those of metadata_schema.fbs (google-ai-edge/mediapipe, mediapipe/tasks/metadata).
MediaPipe's own package for writing them is broken in version 1.2.3; `packing` replaces it.

MediaPipe takes one mean and one standard deviation for all channels of a float input. It refuses a file with
one for each channel ("Per-channel image normalization is not available"). The file holds the true values in
either case.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from exporters.tflite.flatbuffer import buffers, model_bytes, read_model, set_metadata
from exporters.tflite.mark import place_of
from exporters.tflite.mediapipe import CATEGORY, content, custom_metadata, labelled_output, name_told
from exporters.tflite.packing import Table, packed
from mocovit_deploy.errors import ConversionError
from mocovit_deploy.files import write_atomically
from mocovit_deploy.ship.metadata import FileMetadata, classifier_output
from mocovit_deploy.spec import Preprocessing, TensorSpec

ENTRY = "TFLITE_METADATA"
IDENTIFIER = b"M001"
LABELS, DOCUMENT = "labels.txt", "metadata.json"
PARSER_VERSION = "1.5.0"
"""The least version of the metadata parser that reads all fields written here."""

# Values of enumerations in metadata_schema.fbs.
AXIS_LABELS, VALUE_LABELS = 2, 3
RGB, GREY = 1, 2
FEATURE, IMAGE = 1, 2
NORMALIZATION = 1


def describe(
    path: Path, metadata: FileMetadata, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]
) -> None:
    """Replace the description in the file at `path` by `metadata`.

    `inputs` and `outputs` are in the order of the file. All other buffers stay the same byte for byte.
    Runtimes read the flatbuffer and ignore the archive behind it. Raises `ConversionError` if a buffer would
    change.
    """
    data = without_archive(path.read_bytes())
    entry = description(metadata, inputs, outputs)
    place = place_of(data, ENTRY)
    if place is None or data[place] != entry:
        model = read_model(data)
        set_metadata(model, ENTRY, entry)
        described = model_bytes(model)
        _require_equal_buffers(path, data, described)
        data = described
    write_atomically(path, data + archive(data, metadata))


def without_archive(data: bytes) -> bytes:
    """The flatbuffer without the ZIP archive that may follow it."""
    stream = io.BytesIO(data)
    if not zipfile.is_zipfile(stream):
        return data
    with zipfile.ZipFile(stream) as members:
        offsets = [member.header_offset for member in members.infolist()]
    return data[: min(offsets)] if offsets else data


def _require_equal_buffers(path: Path, before: bytes, after: bytes) -> None:
    """Raise `ConversionError` unless the buffers of tensors are the same bytes in the same order."""
    old, new = buffers(before), buffers(after)
    for number, data in old.items():
        if new.get(number) != data:
            raise ConversionError(f"{path.name}: buffer {number} would change with its description")


def description(metadata: FileMetadata, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> bytes:
    """The flatbuffer M001 that describes a file's inputs and outputs."""
    classes = _labelled(metadata, outputs) if metadata.labels else None
    parts: dict[int, Any] = {
        2: [_input(one, metadata.preprocessing) for one in inputs],
        3: [_output(metadata.task, one.name, labelled=one.name == classes) for one in outputs],
    }
    if custom := custom_metadata(metadata.task):
        parts[9] = custom
    subgraph = Table(10, parts)
    said = {
        0: metadata.model,
        1: metadata.description,
        2: metadata.version,
        4: metadata.author,
        5: metadata.licence,
    }
    fields = {slot: text for slot, text in said.items() if text}
    return packed(Table(8, fields | {3: [subgraph], 7: PARSER_VERSION}), IDENTIFIER)


def _labelled(metadata: FileMetadata, outputs: Sequence[TensorSpec]) -> str | None:
    """The name of the output whose classes the labels name; None if there is none."""
    classifier = classifier_output(outputs)
    return labelled_output(metadata.task) or (None if classifier is None else classifier.name)


def archive(data: bytes, metadata: FileMetadata) -> bytes:
    """The ZIP archive that follows the flatbuffer `data`; the same bytes on every run."""
    stream = io.BytesIO(data)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_STORED) as members:
        document = json.dumps(metadata.as_json(), indent=1, ensure_ascii=False, allow_nan=False)
        texts = {LABELS: "\n".join(metadata.labels)} if metadata.labels else {}
        for name, text in {**texts, DOCUMENT: document}.items():
            members.writestr(zipfile.ZipInfo(name), f"{text}\n")
    return stream.getvalue()[len(data) :]


def _input(spec: TensorSpec, how: Preprocessing) -> Table:
    channels = spec.shape[-1] if spec.layout == "nhwc" else 0
    if channels not in (1, 3):
        return Table(7, {0: spec.name, 3: Table(3, {0: FEATURE, 1: Table(0, {})})})
    colours = Table(2, {0: RGB if channels == 3 else GREY})
    fields: dict[int, Any] = {0: spec.name, 3: Table(3, {0: IMAGE, 1: colours})}
    if spec.dtype == "float32":
        mean, std = normalization(how)
        fields[4] = [Table(2, {0: NORMALIZATION, 1: Table(2, {0: mean, 1: std})})]
    return Table(7, fields)


def _output(task: Mapping[str, Any], output: str, *, labelled: bool) -> Table:
    told = content(task, output) or Table(3, {0: FEATURE, 1: Table(0, {})})
    fields: dict[int, Any] = {0: name_told(task, output), 3: told}
    if labelled:
        kind = VALUE_LABELS if fields[0] == CATEGORY else AXIS_LABELS
        fields[6] = [Table(5, {0: LABELS, 1: "names of the classes", 2: kind})]
    return Table(7, fields)


def normalization(how: Preprocessing) -> tuple[list[float], list[float]]:
    """Mean and standard deviation, in units of pixels from 0 to 255; one value if all channels share it.

    (pixel * scale - mean) / std = (pixel - mean / scale) / (std / scale)

    >>> normalization(Preprocessing(scale=1 / 255, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)))
    ([127.5], [127.5])
    """
    mean = [value / how.scale for value in how.mean]
    std = [value / how.scale for value in how.std]
    shared = len(set(mean)) == len(set(std)) == 1
    return (mean[:1], std[:1]) if shared else (mean, std)
