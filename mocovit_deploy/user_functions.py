"""Functions of the user's own, by name: `package.module:function`, or `path/to/file.py:function`."""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from mocovit_deploy.errors import UsageError, first_line, unknown_choice


def load_function(name: str) -> Callable[..., Any]:
    """The function of that name, which runs the file or imports the module that holds it.

    A package is looked for where the user stands, too, and a file's imports beside
    the file, also while the function runs. Raises `UsageError` for what is not there or fails.
    """
    place, _, function_name = name.rpartition(":")
    module = _from_file(Path(place)) if place.endswith(".py") else _from_package(place)
    function: Callable[..., Any] | None = getattr(module, function_name or "?", None)
    if not callable(function):
        names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise unknown_choice(f"function in {place}", function_name, names)
    folder = Path(place).parent if place.endswith(".py") else Path.cwd()

    @functools.wraps(function)
    def beside_its_neighbours(*given: Any, **named: Any) -> Any:
        with _importable(folder):
            return function(*given, **named)

    return beside_its_neighbours


def functions_in(path: Path) -> list[str]:
    """The functions and classes at the top level of a Python file, which is not run; empty if it is none."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    named = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    return [name for name in named if not name.startswith("_")]


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Inside, modules of `folder` can be imported, as `python file.py` and `python -m` would have it."""
    entry = str(folder.resolve())
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # the user's code may have taken it out
            sys.path.remove(entry)


def _from_package(name: str) -> ModuleType:
    try:
        with _importable(Path.cwd()):
            return importlib.import_module(name)
    except Exception as error:
        raise UsageError(
            f"{name}: cannot be imported ({type(error).__name__}: {first_line(error)})"
        ) from error


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    specification = importlib.util.spec_from_file_location(path.stem, path)
    if specification is None or specification.loader is None:
        raise UsageError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(specification)
    sys.modules.setdefault(path.stem, module)  # pickling and dataclasses look their module up
    try:
        with _importable(path.parent):
            specification.loader.exec_module(module)
    except Exception as error:
        raise UsageError(f"{path}: cannot be run ({type(error).__name__}: {first_line(error)})") from error
    return module
