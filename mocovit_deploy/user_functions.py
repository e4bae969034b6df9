"""Functions of the user's own, by name: `package.module:function`, or `path/to/file.py:function`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from mocovit_deploy.errors import UsageError, first_line, unknown_choice


def load_function(name: str) -> Callable[..., Any]:
    """The function of that name, which runs the file or imports the module that holds it.

    A package is looked for where the user stands, too. Raises `UsageError` for what is not there or fails.
    """
    place, _, function_name = name.rpartition(":")
    module = _from_file(Path(place)) if place.endswith(".py") else _from_package(place)
    function: Callable[..., Any] | None = getattr(module, function_name, None)
    if not callable(function):
        names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise unknown_choice(f"function in {place}", function_name, names)
    return function


def _from_package(name: str) -> ModuleType:
    folder = str(Path.cwd())
    sys.path.insert(0, folder)  # where the user stands, as `python -m` would have it
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise UsageError(
            f"{name}: cannot be imported ({type(error).__name__}: {first_line(error)})"
        ) from error
    finally:
        sys.path.remove(folder)


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    specification = importlib.util.spec_from_file_location(path.stem, path)
    if specification is None or specification.loader is None:
        raise UsageError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(specification)
    sys.modules.setdefault(path.stem, module)  # pickling and dataclasses look their module up
    try:
        specification.loader.exec_module(module)
    except Exception as error:
        raise UsageError(f"{path}: cannot be run ({type(error).__name__}: {first_line(error)})") from error
    return module
