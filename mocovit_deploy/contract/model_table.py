"""The keys of a [model.NAME] table: the options of mocovit-export, with _ for -."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mocovit_deploy.choices import BOXES, STRIDES
from mocovit_deploy.contract.toml import choice, flag, number, numbers, positive, text, texts, whole
from mocovit_deploy.errors import UsageError
from mocovit_deploy.models.contradictions import contradiction
from mocovit_deploy.ship.metadata import read_labels
from mocovit_deploy.spec import (
    COLOUR_ORDERS,
    CONVERTERS,
    LAYOUTS,
    RANGE_RULES,
    CalibrationRequest,
    ExportRequest,
    ModelSpec,
    OwnInput,
    sides_of,
    size_fields,
    strides_of,
)


def _arguments(value: object, where: str) -> tuple[tuple[str, str], ...]:
    """A table of --model-arg NAME=VALUE; numbers and flags become text as TOML writes them."""
    if not isinstance(value, dict):
        raise UsageError(f"{where}: {value!r:.60} is not a table of NAME = VALUE")
    for name, given in value.items():
        if not isinstance(given, str | int | float):
            raise UsageError(f"{where}.{name}: {given!r:.60} is not text in quotes, a number, true or false")
    return tuple(
        (name, str(given).lower() if isinstance(given, bool) else str(given)) for name, given in value.items()
    )


def _scale(value: object, where: str) -> float:
    if not number(value, where):
        raise UsageError(f"{where}: 0 would make every pixel 0")
    return number(value, where)


def _spreads(value: object, where: str) -> tuple[float, ...]:
    found = numbers(value, where)
    if min(found) <= 0:
        raise UsageError(f"{where}: {value!r:.60} holds a number that is not above 0")
    return found


def _image_size(value: object, where: str) -> tuple[int, int]:
    """One number for both sides, or text "HEIGHTxWIDTH"."""
    if not isinstance(value, str):
        return (positive(value, where),) * 2
    try:
        if "x" not in value.lower():
            raise ValueError("a number in quotation marks")
        return sides_of(value)
    except ValueError:
        raise UsageError(f'{where}: {value!r:.60} is neither a number nor "HEIGHTxWIDTH"') from None


def _strides(value: object, where: str) -> tuple[int, ...]:
    """Strides as a list of numbers; true for the default of --features, false for none."""
    if isinstance(value, bool):
        return STRIDES if value else ()
    if not isinstance(value, list) or not value:
        raise UsageError(f"{where}: {value!r:.60} is not a list of strides ([8, 16, 32]), true or false")
    numbers = [positive(one, where) for one in value]
    try:
        return strides_of(numbers)
    except ValueError:
        raise UsageError(
            f"{where}: {value!r:.60} holds a stride twice, or one that is not a power of two"
        ) from None


def _checkpoint(value: object, where: str) -> Path:
    path = Path(text(value, where))
    if not path.is_file():
        raise UsageError(f"{where}: {path}: no such file")
    return path


MODEL_WORDS: Mapping[str, Callable[[object, str], Any]] = {
    "model": text,
    "model_arg": _arguments,
    "checkpoint": _checkpoint,
    "prefer_ema": flag,
    "normalize": flag,
    "unsafe_pickle": flag,
    "pretrained": flag,
    "num_classes": positive,
    "features": _strides,
    "boxes": lambda value, where: choice(value, where, BOXES),
    "image_size": _image_size,
    "batch": positive,
    "scale": _scale,
    "mean": numbers,
    "std": _spreads,
    "colour_order": lambda value, where: choice(value, where, COLOUR_ORDERS),
    "input_names": texts,
    "output_names": texts,
    "seed": whole,
    "dynamic": lambda value, where: choice(value, where, ("batch",)),
    "layout": lambda value, where: choice(value, where, LAYOUTS),
    "opset": positive,
    "minimum_deployment_target": text,
    "converter": lambda value, where: choice(value, where, CONVERTERS),
    "no_simplify": flag,
    "without": texts,
    "deploy_hooks": flag,
    "labels": lambda value, where: read_labels(Path(text(value, where))),
    "author": text,
    "licence": text,
    "model_version": text,
    "description": text,
    "calibration": text,
    "calibration_images": positive,
    "strict": flag,
    "ranges": lambda value, where: choice(value, where, RANGE_RULES),
    "bias_correction": flag,
}
"""Each key's reader of its value. A test compares the keys with mocovit-export's options."""


def request_of(words: Mapping[str, Any], only: tuple[tuple[str, str], ...], where: str) -> ExportRequest:
    """The request that mocovit-export would make of these options, for the files `only`.

    `where` names the table in errors. Raises `UsageError` for a missing model, a value that does not fit, and
    options of the network that contradict each other.
    """
    if "model" not in words:
        raise UsageError(f"{where}: model is missing; name the network, as with --model")
    given = {
        word: read(words[word], f"{where}: {word}") for word, read in MODEL_WORDS.items() if word in words
    }
    same = ("checkpoint", "prefer_ema", "unsafe_pickle", "pretrained", "num_classes", "seed")
    model = ModelSpec(
        name=given["model"],
        arguments=given.get("model_arg", ()),
        input=OwnInput(
            **(size_fields(given["image_size"]) if "image_size" in given else {}),
            batch=given.get("batch"),
            **{word: given[word] for word in ("scale", "mean", "std", "colour_order") if word in given},
        ),
        **{
            word: given[word]
            for word in (*same, "normalize", "features", "boxes", "input_names", "output_names")
            if word in given
        },
    )
    of_classes = [word for word in ("labels", "data") if word in words]
    if found := contradiction(model, of_classes, lambda name: name):
        raise UsageError(f"{where}: {found}")
    options = ("layout", "opset", "minimum_deployment_target", "converter", "without", "deploy_hooks")
    said = ("labels", "author", "licence", "model_version", "description")
    return ExportRequest(
        model=model,
        simplify=not given.get("no_simplify", False),
        dynamic_batch=given.get("dynamic") == "batch",
        only=only,
        calibration=_calibration(given, where),
        **{word: given[word] for word in (*options, *said) if word in given},
    )


def _calibration(given: Mapping[str, Any], where: str) -> CalibrationRequest | None:
    if "calibration" not in given:
        words = ("calibration_images", "strict", "ranges", "bias_correction")
        if alone := [word for word in words if word in given]:
            raise UsageError(f"{where}: {alone[0]} goes with calibration; give both, or leave {alone[0]} out")
        return None
    return CalibrationRequest(
        given["calibration"],
        given.get("calibration_images", CalibrationRequest.images),
        given.get("strict", False),
        given.get("ranges", CalibrationRequest.ranges),
        given.get("bias_correction", False),
    )
