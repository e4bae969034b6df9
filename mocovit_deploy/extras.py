"""Packages of the extras, imported when they are first needed."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from types import ModuleType

from mocovit_deploy.errors import MissingToolError


def import_torch() -> ModuleType:
    """Import torch for a command, on one thread unless OMP_NUM_THREADS says otherwise.

    Networks of this size gain nothing from a second thread: a float64 forward of mocovit_1_0 takes 0.06 s on
    one thread and on two. On shared cores a second thread costs time: beside four busy processes the same
    forward took 0.3 s to 7 s on two threads, and 0.16 s on one. Threads that sleep while they wait do not
    help: they are woken up for every layer, and the forward takes 0.5 s on idle cores.

    Raises `MissingToolError` if torch is not installed.
    """
    torch = needs_extra("torch", "export")
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    return torch


def needs_extra(module: str, extra: str) -> ModuleType:
    """Import `module`, or raise a `MissingToolError` that names the extra which brings it.

    Only the absence of the package itself is translated. An import that fails *inside* an installed package
    is that package's own error and is passed on unchanged.
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise _missing(package, extra) from error


def require_extra(package: str, extra: str) -> None:
    """Raise what `needs_extra` raises for a package that is not installed, without importing it."""
    absent = object()
    imported = sys.modules.get(package, absent)
    if imported is None or (imported is absent and importlib.util.find_spec(package) is None):
        raise _missing(package, extra)


def _missing(package: str, extra: str) -> MissingToolError:
    return MissingToolError(
        f"{package} is not installed; in a checkout of mocovit-deploy, run: pip install '.[{extra}]'"
    )
