"""Refuse impossible requests before any work. What can be known from the request alone needs no torch."""

from __future__ import annotations

import contextlib
import difflib
from pathlib import Path

from mocovit_deploy.accuracy.folder import files_by_class
from mocovit_deploy.accuracy.pictures import files_in
from mocovit_deploy.choices import DEVICES, FORMATS, RUNTIMES_OF
from mocovit_deploy.errors import MissingToolError, UsageError, unknown_choice
from mocovit_deploy.formats import Format, format_named
from mocovit_deploy.models.probe import require_files
from mocovit_deploy.passes import PASSES
from mocovit_deploy.quantization.calibration_set import RANDOM
from mocovit_deploy.quantization.recipes import recipe_named
from mocovit_deploy.spec import AUTO, CONVERTERS, LAYOUTS, RANGE_RULES, ExportRequest, SearchRequest


def refuse_impossible(request: ExportRequest) -> None:
    """Raise `UsageError` for the first part of a request that no export could honour."""
    require_files(request.model)
    if request.output_dir.exists() and not request.output_dir.is_dir():
        raise UsageError(f"--output-dir {request.output_dir}: is a file, not a folder; name a folder")
    if not request.files:
        raise UsageError(f"nothing to write; name formats ({', '.join(FORMATS)}) and precisions")
    formats = dict.fromkeys(name for name, _ in request.files)
    fixed = [name for name in formats if not format_named(name).FREE_BATCH]
    if request.dynamic_batch and fixed:
        raise UsageError(
            f"{' and '.join(fixed)} files have a fixed batch; leave out --dynamic batch, or leave out "
            f"{' and '.join(fixed)} (--format)"
        )
    if request.layout not in LAYOUTS:
        raise unknown_choice("layout", request.layout, LAYOUTS)
    if request.converter and request.converter not in CONVERTERS:
        raise unknown_choice("converter", request.converter, CONVERTERS)
    if request.converter and not request.only and "tflite" not in request.formats:
        raise UsageError(
            "--converter chooses what writes TFLite files; leave it out, or add tflite to --format"
        )
    if request.calibration is not None and request.calibration.ranges not in RANGE_RULES:
        raise unknown_choice("rule for ranges", request.calibration.ranges, RANGE_RULES)
    if any(recipe == AUTO for _, recipe in request.files):
        _refuse_search(request.search or SearchRequest())
    for name, recipe in request.files:
        exporter = format_named(name)
        if recipe not in recipes_of(exporter):
            raise _unknown_precision(recipe, name)
        if (recipe == AUTO or recipe_named(recipe).is_static) and request.calibration is None:
            raise UsageError(
                f"{recipe} takes ranges of activations from images: give --calibration FOLDER, FILE.npz or "
                "module:function; or --calibration random, only to measure speed"
            )
        with contextlib.suppress(MissingToolError):  # its own export reports that, and other formats go on
            exporter.refuse_impossible(request)
    _refuse_unknown_passes(request)
    _refuse_missing_images(request)


def recipes_of(exporter: Format) -> tuple[str, ...]:
    """The values of --precision for a format: its recipes, and `AUTO` if it has mixed ones."""
    mixed = any(recipe_named(recipe).is_mixed for recipe in exporter.RECIPES)
    return (*exporter.RECIPES, AUTO) if mixed else exporter.RECIPES


def _refuse_search(search: SearchRequest) -> None:
    if search.device not in DEVICES:
        raise unknown_choice("device", search.device, DEVICES)
    runtimes = RUNTIMES_OF["tflite"]
    if search.runtime not in runtimes:
        raise unknown_choice("runtime", search.runtime, runtimes)


def _refuse_unknown_passes(request: ExportRequest) -> None:
    """Raise `UsageError` unless `--without` names a pass, or a rewrite of a requested file."""
    files = [(name, recipe) for name, recipe in request.files if recipe != AUTO]
    files += [
        (name, one)
        for name, _ in request.files
        for one in format_named(name).RECIPES
        if (name, AUTO) in request.files
    ]
    modules = [one for name, recipe in files for one in format_named(name).lowerings(recipe)]
    known = list(dict.fromkeys([*PASSES, *(module.rpartition(".")[2] for module in modules)]))
    for name in request.without:
        if name not in known:
            raise unknown_choice("pass", name, known)


def _refuse_missing_images(request: ExportRequest) -> None:
    """Raise `UsageError` for images that do not exist, and for folders without images or classes."""
    if request.accuracy is not None:
        folder = Path(request.accuracy.source)
        if _is_absent(request.accuracy.source):
            forms = "a folder with one folder for each class, an .npz, or module:function"
            raise UsageError(f"{folder}: no such file or folder; --data takes {forms}")
        if folder.is_dir():
            files_by_class(folder)
    if request.calibration is not None:
        source = request.calibration.source
        if source != RANDOM and _is_absent(source):
            forms = f"a folder of images, an .npz, module:function, or the word {RANDOM}"
            raise UsageError(f"{source}: no such file or folder; --calibration takes {forms}")
        if Path(source).is_dir():
            files_in(Path(source))


def _is_absent(source: str) -> bool:
    """Whether a source of images is neither a function nor an existing path."""
    return ":" not in source and not Path(source).exists()


def _unknown_precision(recipe: str, name: str) -> UsageError:
    """An error that lists the precisions of each format."""
    every = {one: recipes_of(format_named(one)) for one in FORMATS}
    there = "; ".join(f"{one} has {', '.join(recipes)}" for one, recipes in every.items())
    known = sorted({known for recipes in every.values() for known in recipes})
    if recipe in known:
        return UsageError(f"{name} files have no precision {recipe!r}: {there}")
    close = difflib.get_close_matches(recipe, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return UsageError(f"unknown precision {recipe!r}{hint} ({there})")
