"""mocovit-export's arguments as an `ExportRequest`: every option is honoured, or refused by name.

This module refuses what can be refused by the arguments alone. A network's source refuses the options that it
does not take (`models/`).
"""

from __future__ import annotations

import argparse
from typing import Any

from mocovit_deploy.choices import FORMATS, TARGETS
from mocovit_deploy.errors import UsageError, unknown_choice
from mocovit_deploy.models.contradictions import contradiction
from mocovit_deploy.quantization.recipes import RECIPES
from mocovit_deploy.spec import (
    AUTO,
    AccuracyRequest,
    CalibrationRequest,
    ExportRequest,
    ModelSpec,
    OwnInput,
    SearchRequest,
    size_fields,
)

ONE_FORMAT = {
    "layout": "tflite",
    "converter": "tflite",
    "opset": "onnx",
    "no_simplify": "onnx",
    "minimum_deployment_target": "coreml",
}
"""Options that a single format takes, by their names in the parser."""
OF_FILES = (
    *("device", "runtime", "judging_images", "images", "max_drop", "data"),
    *("ranges", "bias_correction", "strict", "calibration_images", "calibration"),
    *("format", "precision", "output_dir", "output_names", "dynamic", "without", "no_verify", "app_code"),
    *("scale", "mean", "std", "colour_order"),
    *("labels", "author", "licence", "model_version", "description"),
    *("report", "card", "measure"),
)
"""Options that change only files, and not what --summary counts."""


def require_honoured(given: argparse.Namespace) -> None:
    """Raise `UsageError` for an option that would have no effect beside the other arguments."""
    if given.summary:
        for name in (*ONE_FORMAT, *OF_FILES):
            if _is_given(given, name):
                raise UsageError(f"--summary writes no file: leave out {_option(name)}")
    for name, wanted in ONE_FORMAT.items():
        if given.format and wanted not in given.format and _is_given(given, name):
            raise UsageError(
                f"{_option(name)} is for {wanted} files; leave it out, or add {wanted} to --format"
            )
    for name in ("device", "runtime", "judging_images"):
        if AUTO not in (given.precision or ()) and _is_given(given, name):
            raise UsageError(
                f"{_option(name)} goes with --precision auto; give both, or leave {_option(name)} out"
            )
    require_labelled(given, searches=AUTO in (given.precision or ()))
    if given.no_verify and given.data is not None:
        raise UsageError("--data compares files that were checked; leave out --no-verify, or --data")
    if given.no_verify and given.measure is not None:
        raise UsageError("--measure takes files that were checked; leave out --no-verify, or --measure")
    if given.measure not in (None, *TARGETS):
        raise unknown_choice("target", given.measure, TARGETS)
    static = {AUTO} | {recipe.name for recipe in RECIPES if recipe.is_static}
    if given.calibration is not None and not static & set(given.precision or ()):
        raise UsageError(
            "--calibration is for precisions with fixed ranges; leave it out, or add to --precision "
            f"{' or '.join(sorted(static))}"
        )
    for name in ("calibration_images", "ranges", "bias_correction", "strict"):
        if given.calibration is None and _is_given(given, name):
            raise UsageError(
                f"{_option(name)} goes with --calibration; give both, or leave {_option(name)} out"
            )
    of_classes = [name for name in ("labels", "data") if _is_given(given, name)]
    if found := contradiction(_model(given), of_classes, _option):
        raise UsageError(found)


def require_labelled(given: argparse.Namespace, *, searches: bool = False) -> None:
    """Raise `UsageError` for --images without --data, and for --max-drop without --data or a search."""
    if given.data is not None:
        return
    if given.images is not None:
        raise UsageError("--images goes with --data; give both, or leave --images out")
    if given.max_drop is not None and not searches:
        raise UsageError(
            "--max-drop goes with --data or --precision auto; give one of them, or leave --max-drop out"
        )


def accuracy_request(given: argparse.Namespace) -> AccuracyRequest | None:
    """The labelled images that --data names; None without --data."""
    return None if given.data is None else AccuracyRequest(given.data, given.images, given.max_drop)


def export_request(given: argparse.Namespace) -> ExportRequest:
    """The arguments as an `ExportRequest`, with its defaults. Raises `UsageError` for a bad --labels file."""
    from mocovit_deploy.ship.metadata import read_labels

    options: dict[str, Any] = {
        "formats": given.format or FORMATS,
        "precisions": given.precision,
        "without": given.without and tuple(given.without),
        "labels": given.labels and read_labels(given.labels),
    }
    same = ("output_dir", "layout", "opset", "minimum_deployment_target", "converter")
    said = ("author", "licence", "model_version", "description")
    options |= {name: getattr(given, name) for name in (*same, *said)}
    return ExportRequest(
        model=_model(given),
        simplify=not given.no_simplify,
        dynamic_batch=given.dynamic == "batch",
        verify=not given.no_verify,
        deploy_hooks=given.deploy_hooks,
        app_code=given.app_code,
        calibration=_calibration(given),
        accuracy=accuracy_request(given),
        search=_search(given) if AUTO in (given.precision or ()) else None,
        **{name: value for name, value in options.items() if value is not None},
    )


def _calibration(given: argparse.Namespace) -> CalibrationRequest | None:
    if given.calibration is None:
        return None
    images = given.calibration_images or CalibrationRequest.images
    ranges = given.ranges or CalibrationRequest.ranges
    judging = _search(given).images if AUTO in (given.precision or ()) else 0
    return CalibrationRequest(given.calibration, images, given.strict, ranges, given.bias_correction, judging)


def _search(given: argparse.Namespace) -> SearchRequest:
    said = {
        "device": given.device,
        "runtime": given.runtime,
        "max_drop": given.max_drop,
        "images": given.judging_images,
    }
    return SearchRequest(**{name: value for name, value in said.items() if value is not None})


def _model(given: argparse.Namespace) -> ModelSpec:
    return ModelSpec(
        name=given.model,
        arguments=tuple(given.model_arg),
        checkpoint=given.checkpoint,
        num_classes=given.num_classes,
        input=OwnInput(
            **({} if given.image_size is None else size_fields(given.image_size)),
            batch=given.batch,
            scale=given.scale,
            mean=given.mean,
            std=given.std,
            colour_order=given.colour_order,
        ),
        seed=given.seed,
        pretrained=given.pretrained,
        prefer_ema=given.prefer_ema,
        normalize=given.normalize,
        features=given.features,
        boxes=given.boxes or "",
        unsafe_pickle=given.unsafe_pickle,
        input_names=given.input_names,
        output_names=given.output_names,
    )


def _is_given(given: argparse.Namespace, name: str) -> bool:
    return getattr(given, name) not in (None, False, ())


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
