"""`parity.toml` as frozen data. Mistakes are refused, with their file, table and key.

    [model.digits]                            a name for reports, and a folder below --output-dir
    model = "mocovit_0_5"                     the options of mocovit-export, with _ for -
    checkpoint = "digits.safetensors"
    data = "examples.digits.data:held_out_pictures"

    [[model.digits.file]]
    format = "tflite"
    precision = "fp16"
    max_error = 1e-2                          bounds, as in bounds.py

Paths are relative to the current folder, as on the command line. A file without a bound, a bound that every
file meets and a key without effect are refused, because they could never make the contract fail.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mocovit_deploy.choices import CPUS, FORMATS, RUNTIMES, RUNTIMES_OF
from mocovit_deploy.contract.bounds import METRICS, metric_named
from mocovit_deploy.contract.evidence import Conditions
from mocovit_deploy.contract.model_table import MODEL_WORDS, request_of
from mocovit_deploy.contract.toml import choice, positive, read_toml, text
from mocovit_deploy.errors import UsageError, unknown_choice
from mocovit_deploy.formats import format_named
from mocovit_deploy.spec import ExportRequest

TARGETS = ("host", "emulated")
BY_RUNTIME = tuple(sorted(RUNTIMES_OF))
"""The formats that the runtimes of targets read."""
FILE_WORDS = ("target", "runtime", "cpu", "arithmetic", "images")
"""The keys of a file that set its conditions."""
BOUND_WORDS = tuple(metric.word for metric in METRICS)
Bounds = tuple[tuple[str, float], ...]
"""(name of the bound, limit), in the contract's order."""
NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
"""What a model may be called; the name is also a folder's."""


@dataclass(frozen=True)
class FileEntry:
    """One exported file and its bounds."""

    format: str
    precision: str
    conditions: Conditions
    bounds: Bounds

    @property
    def title(self) -> str:
        """ "tflite fp16", or "tflite fp16 on emulated"."""
        where = "" if self.conditions.target == "host" else f" on {self.conditions.target}"
        return f"{self.format} {self.precision}{where}"


@dataclass(frozen=True)
class ModelEntry:
    """One network and its files."""

    name: str
    request: ExportRequest
    """The export of its files. `output_dir` is not the contract's; the command gives it."""
    data: str | None
    """The source of labelled images; None if there is none."""
    files: tuple[FileEntry, ...]


@dataclass(frozen=True)
class Contract:
    """A whole contract."""

    path: Path
    models: tuple[ModelEntry, ...]


def read_contract(path: Path) -> Contract:
    """Read and check a contract. Raises `UsageError` for the first mistake in it."""
    document = read_toml(path)
    _refuse_unknown(document, ("model",), f"{path}", "table")
    models = document.get("model")
    if not isinstance(models, dict) or not models:
        raise UsageError(f"{path}: holds no [model.NAME] table, so it could not fail")
    return Contract(
        path, tuple(_model(name, table, f"{path}: model.{name}") for name, table in models.items())
    )


def _model(name: str, table: object, where: str) -> ModelEntry:
    if not re.fullmatch(NAME, name):
        raise UsageError(f"{where}: {name!r} cannot be a folder's name; use letters, digits, _ . and -")
    words = _table(table, where)
    _refuse_unknown(words, (*MODEL_WORDS, "data", "images", "file"), where, "word")
    given = words.get("file")
    if not isinstance(given, list) or not given:
        raise UsageError(f"{where}: holds no [[model.{name}.file]], so it could not fail")
    data = text(words["data"], f"{where}: data") if "data" in words else None
    images = positive(words["images"], f"{where}: images") if "images" in words else None
    files = tuple(
        _file(_table(file, f"{where}.file[{n}]"), f"{where}.file[{n}]", data, images)
        for n, file in enumerate(given)
    )
    _refuse_twice(files, where)
    labelled = any("data" in metric_named(word).needs for file in files for word, _ in file.bounds)
    for word, unused in (("data", data), ("images", images)):
        if unused is not None and not labelled:
            raise UsageError(f"{where}: {word} is given, but no file has a bound on accuracy; leave it out")
    pairs = tuple(dict.fromkeys((file.format, file.precision) for file in files))
    return ModelEntry(name, request_of(words, pairs, where), data, files)


def _file(words: Mapping[str, Any], where: str, data: str | None, images: int | None) -> FileEntry:
    kind = ("format", "precision")
    _refuse_unknown(words, (*kind, *FILE_WORDS, *BOUND_WORDS), where, "word")
    for word in kind:
        if word not in words:
            raise UsageError(f"{where}: {word} is missing")
    format_name = choice(words["format"], f"{where}: format", FORMATS)
    recipe = choice(words["precision"], f"{where}: precision", format_named(format_name).RECIPES)
    said = {word: value for word, value in words.items() if word not in kind}
    conditions = conditions_of(said, where, images)
    return FileEntry(format_name, recipe, conditions, bounds_of(said, where, format_name, conditions, data))


def conditions_of(words: Mapping[str, Any], where: str, images: int | None) -> Conditions:
    """The conditions among `words`. `images` is the model's default, `where` names the table in errors.

    Raises `UsageError` for values that do not fit.
    """

    def chosen(word: str, choices: Iterable[str]) -> str | None:
        return choice(words[word], f"{where}: {word}", tuple(choices)) if word in words else None

    target = chosen("target", TARGETS) or TARGETS[0]
    found = Conditions(
        target=target,
        runtime=chosen("runtime", RUNTIMES),
        cpu=chosen("cpu", CPUS),
        arithmetic=chosen("arithmetic", ("fp32", "fp16", "int8")),
        images=positive(words["images"], f"{where}: images") if "images" in words else images,
    )
    if target == "emulated" and (found.runtime is None or found.cpu is None):
        raise UsageError(f"{where}: target emulated needs runtime and cpu; give both")
    return found


def bounds_of(
    words: Mapping[str, Any], where: str, format_name: str, conditions: Conditions, data: str | None
) -> Bounds:
    """The bounds among `words`, for a file of this format judged under these conditions.

    Raises `UsageError` for an unknown key, a limit that no file can meet or miss, a bound that this format or
    target does not have, and if there is no bound.
    """
    _refuse_unknown(words, (*FILE_WORDS, *BOUND_WORDS), where, "word")
    if conditions.target != TARGETS[0] and format_name not in BY_RUNTIME:
        raise UsageError(f"{where}: target {conditions.target} runs only {' and '.join(BY_RUNTIME)} files")
    limits = []
    for word in (word for word in words if word in BOUND_WORDS):
        metric = metric_named(word)
        try:
            limits.append((word, metric.limit(words[word])))
        except UsageError as error:
            raise UsageError(f"{where}: {word}: {error}") from None
        if format_name not in metric.formats:
            raise UsageError(f"{where}: {word} is for {' and '.join(metric.formats)} files only")
        if conditions.target not in metric.targets:
            raise UsageError(f"{where}: {word} is measured only on target {metric.targets[0]}")
        for needed in metric.needs:
            if (data if needed == "data" else words.get(needed)) is None:
                raise UsageError(f"{where}: {word} needs {needed}; give both")
    if not limits:
        raise UsageError(
            f"{where}: holds no bound, so it could not fail (choose from {', '.join(BOUND_WORDS)})"
        )
    _refuse_idle(words, conditions, [word for word, _ in limits], where)
    return tuple(limits)


def _refuse_idle(words: Mapping[str, Any], conditions: Conditions, bounds: list[str], where: str) -> None:
    """Refuse conditions that have no effect on these bounds."""
    metrics = [metric_named(word) for word in bounds]
    counted = any("runtime" in metric.needs for metric in metrics)
    used = {
        "runtime": counted or conditions.target != "host",
        "cpu": counted or conditions.target != "host",
        "images": any("data" in metric.needs for metric in metrics),
        "arithmetic": any(metric.of_outputs for metric in metrics),
    }
    for word, is_used in used.items():
        if word in words and not is_used:
            raise UsageError(f"{where}: {word} has no effect on {', '.join(bounds)}; leave it out")


def _refuse_twice(files: Iterable[FileEntry], where: str) -> None:
    seen: set[tuple[str, str, str]] = set()
    for file in files:
        key = (file.format, file.precision, file.conditions.target)
        if key in seen:
            raise UsageError(f"{where}: two files are {file.title}; put their bounds into one table")
        seen.add(key)


def _refuse_unknown(words: Iterable[str], known: tuple[str, ...], where: str, what: str) -> None:
    for word in words:
        if word not in known:
            raise UsageError(f"{where}: {unknown_choice(what, word, known)}")


def _table(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{where}: not a table")
    return value
