"""Importing and calling coremltools without its slow imports and its printed progress.

`import coremltools` first tries to import every package it could convert from. Three of them, unused here,
cost more than coremltools itself (seconds: scikit-learn 1.2, torchao 2.0, transformers 0.8, coremltools 0.4),
so they are hidden from it while it is imported. torch and torchvision stay visible: coremltools makes its
PyTorch front end only if torch can be imported.
"""

from __future__ import annotations

import contextlib
import gc
import io
import logging
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from mocovit_deploy.extras import needs_extra

PROBED_IN_VAIN = (
    "executorch",
    "libsvm",
    "sklearn",
    "tensorflow",
    "torchao",
    "torchaudio",
    "transformers",
    "xgboost",
)
"""Packages that coremltools tries to import and that this project does not convert from."""


def coremltools() -> ModuleType:
    """The package, imported at the first call. Raises `MissingToolError` when it is not installed."""
    if imported := sys.modules.get("coremltools"):
        return imported
    with _absent(PROBED_IN_VAIN), quiet_coremltools():
        return needs_extra("coremltools", "coreml")


@contextlib.contextmanager
def _absent(names: tuple[str, ...]) -> Iterator[None]:
    """Make `import` fail, inside the block, for those packages that are not imported yet."""
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        # None makes the import system raise ModuleNotFoundError without a search.
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


@contextlib.contextmanager
def quiet_coremltools() -> Iterator[None]:
    """Hide coremltools' progress bars and its warnings about versions of packages.

    Its errors are exceptions, which are not hidden.
    """
    logger = logging.getLogger("coremltools")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Switch the garbage collector off for a block that makes hundreds of thousands of objects.

    Conversion allocates much and frees little, so the collector walks all objects of torch and coremltools
    for nothing: some 0.4 s of 3.9. Freezing makes coremltools' own calls of `gc.collect()` cheap too.
    """
    enabled = gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        if enabled:
            gc.enable()


@contextlib.contextmanager
def ending_with(pipeline: Any, own: Any) -> Iterator[None]:
    """Append the pass `own` to a coremltools pipeline, and register it inside the block.

    coremltools looks passes up in its registry when it runs the pipeline, so run that inside the block.
    """
    from coremltools.converters.mil.mil.passes.pass_registry import PASS_REGISTRY

    name = f"mocovit::{type(own).__name__}"
    PASS_REGISTRY.passes[name] = own
    try:
        pipeline.append_pass(name)
        yield
    finally:
        del PASS_REGISTRY.passes[name]
