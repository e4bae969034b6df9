"""Networks of the user's own: `package.module:function`, or `path/to/file.py:function`.

The function is called with the options given by --model-arg, as text, and returns an `nn.Module`. A network
that takes one square image needs nothing more. Any other says what it takes in an attribute:

    module.example_inputs = (torch.zeros(1, 3, 192, 320), torch.zeros(1, 4))
    module.example_inputs = {"image": torch.zeros(1, 3, 192, 320), "box": torch.zeros(1, 4)}

in the order, or by the names, of forward's parameters; lists, tuples and dictionaries inside are flattened.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from mocovit_deploy.errors import UsageError, first_line, unknown_choice
from mocovit_deploy.spec import InputSpec, ModelSpec

NAMES = ("package.module:function", "path/to/file.py:function")
INPUT_NAMES = ()


def knows(name: str) -> bool:
    return ":" in name


def build(spec: ModelSpec) -> nn.Module:
    """Call the user's function. Raises `UsageError` for what is not there, fails, or returns no module."""
    if spec.pretrained:
        raise UsageError(
            f"{spec.name}: --pretrained is for timm; load weights in the function, or --checkpoint"
        )
    place, _, function_name = spec.name.rpartition(":")
    module = _from_file(Path(place)) if place.endswith(".py") else _from_package(place)
    function: Callable[..., Any] | None = getattr(module, function_name, None)
    if not callable(function):
        names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise unknown_choice(f"function in {place}", function_name, names)
    try:
        network = function(**dict(spec.arguments))
    except Exception as error:
        raise UsageError(f"{spec.name}: {type(error).__name__}: {first_line(error)}") from error
    if not isinstance(network, nn.Module):
        raise UsageError(
            f"{spec.name} returns something of type {type(network).__name__}, not a torch.nn.Module"
        )
    return network


def own_input(_spec: ModelSpec, _network: nn.Module) -> InputSpec:
    return InputSpec()


def weights(_spec: ModelSpec, _network: nn.Module) -> str:
    return ""


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
