"""A first contract for existing files: every bound that can be measured, with room for values that vary.

    max_error            four times the measured value: another processor or version rounds differently
    min_sqnr_db          6 dB below the measured value, which is twice the error
    max_size_bytes       one percent above the measured value
    counts, agreement    the measured value

A contract names labels by a file. The class names go beside it, into labels.txt, or into MODEL.labels.txt if
labels.txt lists other classes.

A bound is left out if it cannot be measured here, or if an output that never changes would meet it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.provenance import LIVE, labels_of, model_of
from mocovit_deploy.contract.bounds import metric_named
from mocovit_deploy.contract.check import judge_metric
from mocovit_deploy.contract.evidence import Conditions, Evidence
from mocovit_deploy.contract.metric import ERROR, Metric
from mocovit_deploy.errors import DeployError, ParityError, UsageError
from mocovit_deploy.parity.decide import PASS
from mocovit_deploy.parity.tolerance import MEANT_ARITHMETIC
from mocovit_deploy.quantization.recipes import recipe_named
from mocovit_deploy.ship.metadata import labels_text, read_labels
from mocovit_deploy.spec import CalibrationRequest, ExportRequest, ModelSpec, sides_text

WORDS = (
    *("max_error", "min_sqnr_db", "min_top1_agreement", "max_partitions", "max_outside_xnnpack"),
    *("max_outside_gpu", "max_operators", "max_transposes", "max_size_bytes"),
)
"""The bounds that need no labelled images and no emulated core, in the order in which they are written."""
ROOM = {"max_error": 4.0, "max_size_bytes": 1.01}
"""Factors from the measured value to the bound."""
ROOM_DB = 6.0
"""Decibels between the measured SQNR and the bound."""


LABELS = "labels.txt"


@dataclass(frozen=True)
class FirstContract:
    """A contract, and the label files that it names and that do not exist yet."""

    text: str
    labels: Mapping[Path, str]
    """The text for each of these files."""


def first_contract(artifacts: Sequence[Artifact], folder: Path) -> FirstContract:
    """A contract that these files meet today, to be written into `folder`.

    Raises `UsageError` for a file whose manifest does not record everything to export it again, `ParityError`
    for a file that did not pass its export, and the errors of measuring its outputs.
    """
    models: dict[str, list[Artifact]] = {}
    lists: dict[Path, str] = {}
    for artifact in artifacts:
        _require_repeatable(artifact)
        words = _words(artifact) | _labels(artifact, folder, lists)
        models.setdefault(json.dumps(words, sort_keys=True), []).append(artifact)
    lines = [
        "# What must hold of these files: mocovit-parity --contract checks it (docs/contract.md).",
        "# Written by mocovit-parity --init; the value measured then stands beside each bound.",
    ]
    names: set[str] = set()
    for key, made in models.items():
        name = _free_name(made[0].model, names)
        lines += ["", f"[model.{name}]", *(f"{w} = {_toml(v)}" for w, v in json.loads(key).items())]
        for artifact in made:
            lines += ["", f"[[model.{name}.file]]", *_file(artifact)]
    missing = {path: text for path, text in lists.items() if not path.exists()}
    return FirstContract("\n".join(lines) + "\n", missing)


def _require_repeatable(artifact: Artifact) -> None:
    source = artifact.source or {}
    if str(source.get("model", {}).get("name", "")).startswith(LIVE):
        raise UsageError(
            f"{artifact.path}: was exported from a live module of a Python program; a contract needs a "
            "--model that can be built again"
        )
    model_of(artifact)
    if (artifact.parity or {}).get("verdict") != PASS:
        raise ParityError(f"{artifact.path}: did not pass its export; contracts are for files that did")


def _words(artifact: Artifact) -> dict[str, Any]:
    """The options of a model table that export this file again, without those at their defaults."""
    spec, options = model_of(artifact), (artifact.source or {})["options"]
    usual, plain = ModelSpec(), ExportRequest(ModelSpec())
    words: dict[str, Any] = {"model": spec.name}
    if spec.arguments:
        words["model_arg"] = dict(spec.arguments)
    if spec.checkpoint is not None:
        words["checkpoint"] = str(spec.checkpoint)
    names = ("prefer_ema", "normalize", "pretrained", "num_classes", "features", "boxes", "seed")
    named = ("input_names", "output_names")
    words |= {n: getattr(spec, n) for n in (*names, *named) if getattr(spec, n) != getattr(usual, n)}
    image = {
        "image_size": "size",
        "batch": "batch",
        **{n: n for n in ("scale", "mean", "std", "colour_order")},
    }
    found = {word: getattr(spec.input, field, None) for word, field in image.items()}
    words |= {word: value for word, value in found.items() if value is not None}
    if spec.input.sides is not None and spec.input.width is not None:
        words["image_size"] = sides_text(spec.input.sides)
    same = ("layout", "opset", "minimum_deployment_target", "converter", "deploy_hooks")
    said = ("author", "licence", "model_version", "description")
    words |= {n: options[n] for n in (*same, *said) if options[n] != getattr(plain, n)}
    words |= {"no_simplify": True} if not options["simplify"] else {}
    words |= {"dynamic": "batch"} if options["dynamic_batch"] else {}
    words |= {"without": options["without"]} if options["without"] else {}
    return words | _calibration(artifact)


def _labels(artifact: Artifact, folder: Path, lists: dict[Path, str]) -> dict[str, Any]:
    """The contract's entry for the label file of an artifact; {} if the artifact has no labels.

    An existing file is used if it lists the same classes, and is never overwritten. A new file is added to
    `lists`, by path with its text.
    """
    labels = labels_of(artifact)
    if not labels:
        return {}
    text, stem = labels_text(labels), _table_name(artifact.model)
    numbered = (f"{stem}_{number}.{LABELS}" for number in range(2, 1000))
    for path in (folder / name for name in (LABELS, f"{stem}.{LABELS}", *numbered)):
        if (path in lists and lists[path] == text) or (path not in lists and _may_hold(path, labels)):
            lists[path] = text
            return {"labels": str(path)}
    raise UsageError(f"{folder}: holds a thousand files of labels; name another folder with --contract")


def _may_hold(path: Path, labels: tuple[str, ...]) -> bool:
    """Whether `path` does not exist, or lists exactly these labels."""
    if not path.exists():
        return True
    try:
        return read_labels(path) == labels
    except UsageError:
        return False


def _calibration(artifact: Artifact) -> dict[str, Any]:
    if not recipe_named(artifact.recipe).is_static:
        return {}
    found = (artifact.quantization or {}).get("calibration")
    if not isinstance(found, Mapping) or not {"source", "runs"} <= found.keys():
        raise UsageError(f"{artifact.path}: its manifest does not name the calibration images; export again")
    assert artifact.quantization is not None
    words: dict[str, Any] = {"calibration": str(found["source"])}
    runs, rule = int(found["runs"]), artifact.quantization.get("ranges", CalibrationRequest.ranges)
    words |= {"calibration_images": runs} if runs != CalibrationRequest.images else {}
    words |= {"ranges": rule} if rule != CalibrationRequest.ranges else {}
    return words | ({"bias_correction": True} if artifact.quantization.get("bias_correction") else {})


def _file(artifact: Artifact) -> Iterator[str]:
    yield f"format = {_toml(artifact.format)}"
    yield f"precision = {_toml(artifact.recipe)}"
    evidence = Evidence(artifact, Conditions())
    meant = MEANT_ARITHMETIC.get(artifact.recipe)
    if meant not in (None, evidence.arithmetic):
        yield f'# computed in {evidence.arithmetic} here, made for {meant}; target = "emulated" bounds that'
    for word in WORDS:
        metric = metric_named(word)
        if artifact.format not in metric.formats or "host" not in metric.targets:
            continue
        try:
            found = metric.measure(evidence)
        except DeployError as error:
            if word == WORDS[0]:
                raise
            yield f"# {word}: not measured here ({str(error).splitlines()[0]})"
            continue
        limit = _limit(metric, found.value)
        if limit is None:
            continue
        check = judge_metric(metric, limit, found)
        if check.verdict == PASS:
            yield f"{word} = {_number(metric, limit)}  # {metric.unit.show(found.value)}"


def _limit(metric: Metric, value: float) -> float | None:
    """The bound to write for a measured `value`; None if every file would meet it."""
    if not math.isfinite(value):
        return None
    limit = value * ROOM.get(metric.word, 1.0)
    if metric.unit is ERROR:
        power = 10.0 ** math.floor(math.log10(limit)) if limit else 1.0
        limit = math.ceil(limit / power - 1e-9) * power if limit else 1e-7
    elif metric.word == "min_sqnr_db":
        limit = math.floor(value - ROOM_DB)
    elif metric.unit.whole:
        limit = math.ceil(limit)
    try:
        return metric.limit(int(limit) if metric.unit.whole else limit)
    except UsageError:
        return None


def _number(metric: Metric, limit: float) -> str:
    if metric.unit.whole:
        return f"{int(limit):_}"
    return f"{limit:.0e}" if metric.unit is ERROR else repr(limit)


def _free_name(model: str, taken: set[str]) -> str:
    """A name for a table and a folder, made of the network's; numbered if it is taken. Added to `taken`."""
    base = _table_name(model)
    name = next(
        f"{base}{end}" for end in ("", *(f"_{n}" for n in range(2, 1000))) if f"{base}{end}" not in taken
    )
    taken.add(name)
    return name


def _table_name(model: str) -> str:
    """The network's name in characters that a bare TOML key and the name of a file can have."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", model).strip("_-") or "model"


def _toml(value: object) -> str:
    """A value as TOML, which writes everything but tables as JSON does."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)
