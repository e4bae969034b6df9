"""Importing coremltools and calling it: quickly and quietly.

`import coremltools` first tries to import every package it could convert from. Three of them, unused here,
cost more than coremltools itself (seconds: scikit-learn 1.2, torchao 2.0, transformers 0.8, coremltools 0.4),
so they look absent to it while it is imported. torch and torchvision are left to be found: its PyTorch
front end exists only if torch does.
"""

from __future__ import annotations

import contextlib
import gc
import io
import logging
import sys
from collections.abc import Iterator
from types import ModuleType

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


def coremltools() -> ModuleType:
    """The package, imported at the first call. Raises `MissingToolError` when it is not installed."""
    if imported := sys.modules.get("coremltools"):
        return imported
    with _absent(PROBED_IN_VAIN), quiet_coremltools():
        return needs_extra("coremltools", "coreml")


@contextlib.contextmanager
def _absent(names: tuple[str, ...]) -> Iterator[None]:
    """Make `import name` fail for packages that are not imported yet, for the time of the block."""
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        # The interpreter's own way of saying so: ModuleNotFoundError, without looking further.
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


@contextlib.contextmanager
def quiet_coremltools() -> Iterator[None]:
    """Swallow what coremltools prints in passing: progress bars, and warnings of every version it meets.

    Its errors are exceptions, which pass.
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

    Conversion allocates much and frees little: the collector walks torch's and coremltools' whole heaps for
    nothing, some 0.4 s of 3.9. Freezing also spares the `gc.collect()` that coremltools calls itself.
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
