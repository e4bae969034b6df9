"""What is wrong with a request and can be known from its words: said before any work, and without torch."""

from __future__ import annotations

import contextlib

from mocovit_deploy.errors import MissingToolError, UsageError, unknown_choice
from mocovit_deploy.formats import format_named
from mocovit_deploy.models.probe import require_files
from mocovit_deploy.passes import PASSES
from mocovit_deploy.spec import CONVERTERS, LAYOUTS, ExportRequest


def refuse_impossible(request: ExportRequest) -> None:
    """Raise `UsageError` for the first thing that no export could honour."""
    require_files(request.model)
    if request.output_dir.exists() and not request.output_dir.is_dir():
        raise UsageError(f"--output-dir {request.output_dir}: is a file; name a folder")
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
    for name in request.without:
        if name not in PASSES:
            raise unknown_choice("pass", name, PASSES)
    for name, recipe in request.files:
        exporter = format_named(name)
        if recipe not in exporter.RECIPES:
            raise unknown_choice(f"precision for {name}", recipe, exporter.RECIPES)
        with contextlib.suppress(MissingToolError):  # its own export says so, and the other formats go on
            exporter.refuse_impossible(request)
