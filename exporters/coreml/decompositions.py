"""ATen operations whose keyword arguments coremltools drops, spelled out in operations without them.

The `torch.export` front end of coremltools 9.0 reads positional arguments, and of the keywords only those
that an operation's translator asks for. It asks for none of these, and says nothing: a tanh GELU is written
as an exact one (1.4e-4 of the output's range on timm's efficientvit_l1), `add(x, y, alpha=2)` as x + y.

    add(x, y, alpha=a)         x + a y
    sub(x, y, alpha=a)         x - a y
    rsub(x, y, alpha=a)        y - a x
    gelu(x, approximate="tanh")
        0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))     which coremltools makes one `gelu` again
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    Decompositions = dict[torch._ops.OperatorBase, Callable[..., Any]]


def spelled_out() -> Decompositions:
    """The table for `ExportedProgram.run_decompositions`. Each function declines where nothing is dropped."""
    import torch

    aten = torch.ops.aten
    return {
        aten.add.Tensor: _add,
        aten.sub.Tensor: _sub,
        aten.rsub.Tensor: _rsub,
        aten.rsub.Scalar: _rsub,
        aten.gelu.default: _gelu,
    }


def _add(x: Any, y: Any, *, alpha: float = 1) -> Any:
    return NotImplemented if alpha == 1 else x + y * alpha


def _sub(x: Any, y: Any, *, alpha: float = 1) -> Any:
    return NotImplemented if alpha == 1 else x - y * alpha


def _rsub(x: Any, y: Any, alpha: float = 1) -> Any:
    return NotImplemented if alpha == 1 else y - x * alpha


def _gelu(x: Any, *, approximate: str = "none") -> Any:
    if approximate != "tanh":
        return NotImplemented
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    return 0.5 * x * (1 + inner.tanh())
