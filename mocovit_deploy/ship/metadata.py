"""The description of a file inside the file, made once and written by each format in its own place.

    TFLite    the metadata flatbuffer of TensorFlow Lite with labels.txt, and metadata.json, behind the model
    Core ML   author, licence, version and user-defined metadata
    ONNX      metadata_props

metadata.json and the entries of the other formats hold `FileMetadata.as_json`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mocovit_deploy.errors import UsageError
from mocovit_deploy.spec import Preprocessing, TensorSpec

SCHEMA_VERSION = 1
LARGEST_LABELS_BYTES = 4 << 20


@dataclass(frozen=True, kw_only=True)
class FileMetadata:
    """The description of a file inside the file."""

    model: str
    recipe: str
    weights: str
    """Where the weights came from, with the checkpoint's digest."""
    preprocessing: Preprocessing
    labels: tuple[str, ...] = ()
    """Names of the classes, in the order of the output's last axis; empty if none were given."""
    author: str = ""
    licence: str = ""
    version: str = ""
    description: str = ""
    task: Mapping[str, Any] = field(default_factory=dict)
    """What the outputs mean (`artifacts/task.py`); empty of a network that does not say."""
    parity: Mapping[str, Any] = field(default_factory=dict)
    """Verdict, error and tolerance; empty before the file is judged."""

    def as_json(self) -> dict[str, Any]:
        """Plain data, without fields that are empty."""
        how = self.preprocessing
        document: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "model": self.model,
            "recipe": self.recipe,
            "weights": self.weights,
            "preprocessing": _as_json(how),
        }
        if how.built_in is not None:
            document["built_in_preprocessing"] = _as_json(how.built_in)
        given = {
            "labels": list(self.labels),
            "author": self.author,
            "licence": self.licence,
            "version": self.version,
            "description": self.description,
            "task": dict(self.task),
            "parity": dict(self.parity),
        }
        return document | {name: value for name, value in given.items() if value}

    def strings(self) -> dict[str, str]:
        """`as_json` with every value as text, for formats that hold only text; lists and tables as JSON."""
        return {
            key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, allow_nan=False)
            for key, value in self.as_json().items()
        }


def _as_json(how: Preprocessing) -> dict[str, Any]:
    return {
        "formula": "(pixel * scale - mean) / std, pixels 0 to 255",
        "scale": how.scale,
        "mean": list(how.mean),
        "std": list(how.std),
        "colour_order": how.colour_order,
        "assumed": list(how.assumed),
    }


def read_labels(path: Path) -> tuple[str, ...]:
    """The class names in a text file, one on each line, in the order of the network's outputs.

    A byte-order mark and Windows line ends are accepted; empty lines at the end are ignored. Raises
    `UsageError` for a file that does not exist, is not text, is too large, is empty, or has an empty line
    inside.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "labels.txt")
    ...     _ = path.write_text("tench\\ngoldfish\\n")
    ...     read_labels(path)
    ('tench', 'goldfish')
    """
    try:
        if path.stat().st_size > LARGEST_LABELS_BYTES:
            raise UsageError(
                f"labels {path}: larger than {LARGEST_LABELS_BYTES:,} bytes; write one name on each line"
            )
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"labels {path}: no such file") from None
    except IsADirectoryError:
        raise UsageError(f"labels {path}: is a folder; name a text file, one label a line") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"labels {path}: not a text file in UTF-8 ({error})") from None
    names = [line.strip() for line in text.rstrip().splitlines()]
    if not names:
        raise UsageError(f"labels {path}: holds no names; write one name on each line")
    for number, name in enumerate(names, 1):
        if not name or not name.isprintable():
            raise UsageError(f"labels {path}: line {number} is empty or holds unprintable characters")
    return tuple(names)


def labels_text(labels: Sequence[str]) -> str:
    """The text of a label file. Raises `UsageError` for a label that `read_labels` would read differently.

    >>> labels_text(("tench", "goldfish"))
    'tench\\ngoldfish\\n'
    """
    require_printable(labels)
    return "\n".join(labels) + "\n"


def require_printable(labels: Sequence[str]) -> None:
    """Raise `UsageError` for a label that is empty, has spaces at an end, or has unprintable characters."""
    for number, label in enumerate(labels, 1):
        if not isinstance(label, str) or not label or label != label.strip() or not label.isprintable():
            raise UsageError(f"labels: number {number}, {label!r:.60}, is not one line of printable text")


def classifier_output(outputs: Sequence[TensorSpec]) -> TensorSpec | None:
    """The only output with classes, (batch, classes); None if there is no such output, or several."""
    found = [output for output in outputs if len(output.shape) == 2]
    return found[0] if len(found) == 1 else None


def require_fitting_labels(
    labels: Sequence[str], outputs: Sequence[TensorSpec], task: Mapping[str, Any] | None = None
) -> None:
    """Raise `UsageError` unless `labels` is empty or has one printable name for each class of the network.

    `task` describes a network that does not name one class of an image; it has the number of classes.
    """
    if not labels:
        return
    require_printable(labels)
    if task and "classes" in task:
        if task["classes"] != len(labels):
            raise UsageError(f"labels: {len(labels)} names for the {task['classes']} classes of the network")
        return
    output = classifier_output(outputs)
    if output is None:
        shapes = ", ".join(f"{one.name} {list(one.shape)}" for one in outputs)
        raise UsageError(
            f"labels: the network needs one output (batch, classes), but has {shapes}; leave labels out"
        )
    if output.shape[1] != len(labels):
        raise UsageError(f"labels: {len(labels)} names for the {output.shape[1]} classes of {output.name}")
