"""The user's own functions, by name: `package.module:function`, or `path/to/file.py:function`."""

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
    """The function of that name. Loading it runs the file, or imports the module, that holds it.

    The current folder is searched for packages, too. A file's imports are also searched for beside the file,
    while it is loaded and while the function runs. Raises `UsageError` if the file, the module or the
    function does not exist, or if loading fails.
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
    """The public functions and classes at the top level of a Python file. The file is not run.

    Empty for a file that cannot be read or is not Python.
    """
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    named = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    return [name for name in named if not name.startswith("_")]


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Inside the block, modules of `folder` can be imported, as in `python file.py` and `python -m`."""
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
