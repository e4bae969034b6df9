"""Import torchvision also if its compiled library does not fit this torch, and find its networks by name.

A library for CUDA does not load beside a CPU build of torch. torchvision ignores that silently, and its
Python code then fails with "operator torchvision::nms does not exist". To declare the operators that it
names, without an implementation, is enough for networks that never call them: all of timm's, and all of
torchvision's classifiers. A network that calls them, such as a detector, fails with that operator's name.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from typing import TypeVar

from mocovit_deploy.errors import MissingToolError, first_line

OPERATORS = {
    "nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
"""The operators that torchvision's Python code names and its compiled library would have declared."""

_Result = TypeVar("_Result")


def importable() -> bool:
    """Make `import torchvision` work if it is installed. True if operators had to be declared for that.

    Raises `MissingToolError` if it cannot be imported for another reason.
    """
    if "torchvision" in sys.modules or importlib.util.find_spec("torchvision") is None:
        return False
    try:
        importlib.import_module("torchvision")
    except Exception as error:
        if _names_an_operator(error):
            _declare_operators()
            return True
        raise MissingToolError(
            f"torchvision, which timm needs, cannot be imported ({first_line(error)}); install the version "
            "that belongs to this torch"
        ) from error
    return False


def with_operators(build: Callable[[], _Result]) -> _Result:
    """`build()`; if it fails because the operators are missing, declare them and call it again."""
    try:
        return build()
    except Exception as error:
        if not _names_an_operator(error):
            raise
    _declare_operators()
    return build()


def named(name: str) -> list[str]:
    """ "torchvision.models:resnet50" for "resnet50", if torchvision is installed and has it."""
    try:
        importable()
        models = importlib.import_module("torchvision.models")
    except Exception:  # noqa: BLE001 - a torchvision that cannot be imported gives no hint
        return []
    return [f"torchvision.models:{name.lower()}"] if name.lower() in models.list_models() else []


def _names_an_operator(error: BaseException) -> bool:
    return "operator torchvision::" in first_line(error)


def _declare_operators() -> None:
    import torch

    for half_imported in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[half_imported]
    for name, schema in OPERATORS.items():
        torch.library.define(f"torchvision::{name}", schema)
