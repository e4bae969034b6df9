"""Run the original network in float64. Files are judged against the result, and so is its own float32.

A copy of the module runs, not the captured graph, so that errors of capture are seen. Weights are widened
exactly. Where the network's code asks for float32 (`x.float()`, `dtype=torch.float32`, tensors that are not
buffers), each operation is widened as it runs.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.errors import first_line

NARROW = (torch.float32, torch.float16, torch.bfloat16)


class _Widening(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Widens every float operand and every dtype argument to float64, except tensors changed in place."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        mutates = func._schema.is_mutable

        def widen(value: Any) -> Any:
            if isinstance(value, torch.dtype):
                return torch.float64 if value in NARROW else value
            if isinstance(value, Tensor) and value.dtype in NARROW and not mutates:
                return value.to(torch.float64)
            return value

        kwargs = kwargs or {}
        if any(map(_is_narrow, (*args, *kwargs.values()))):  # seldom true, and cheaper than a tree_map
            args, kwargs = pytree.tree_map(widen, (args, kwargs))
        return func(*args, **kwargs)


def _is_narrow(argument: Any) -> bool:
    """Whether an argument holds a tensor of a dtype in `NARROW`, or is such a dtype."""
    if isinstance(argument, Tensor):
        return argument.dtype in NARROW
    if isinstance(argument, list | tuple):
        return any(map(_is_narrow, argument))
    return isinstance(argument, torch.dtype) and argument in NARROW


@contextlib.contextmanager
def widened() -> Iterator[None]:
    """Inside the block, torch computes everything in float64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad(), _Widening():  # type: ignore[no-untyped-call]
            yield
    finally:
        torch.set_default_dtype(before)


class Rounding(NamedTuple):
    """How far the float32 outputs of a network are from its float64 outputs."""

    differences: dict[int, Array]
    """float64 minus float32, (samples, ...), by the output's position. Outputs of integers are left out."""
    why_not: str
    """Why the network does not run in float64; then there are no differences. Else empty."""


def rounding_of(module: nn.Module, inputs: Sequence[Array], outputs: Sequence[Array]) -> Rounding:
    """The rounding in the float32 `outputs` of a network, measured by running it in float64.

    `inputs` holds one array (samples, ...) for each input, `outputs` one for each output.
    """
    try:
        wide = copy.deepcopy(module).double()
        with widened():
            runs = [pytree.tree_leaves(wide(*map(_wide, sample))) for sample in zip(*inputs, strict=True)]
    except Exception as error:  # noqa: BLE001 - the user's code, in a precision it was not written for
        return Rounding({}, f"{type(error).__name__}: {first_line(error)}")
    differences: dict[int, Array] = {}
    for place, (single, *column) in enumerate(zip(outputs, *runs, strict=True)):
        if single.dtype.kind != "f":
            continue
        if any(tuple(leaf.shape) != single.shape[1:] for leaf in column):
            return Rounding({}, "its outputs have other shapes in float64")
        exact = np.stack([leaf.double().numpy() for leaf in column])
        if not np.isfinite(exact).all():
            return Rounding({}, "it computes NaN or infinity in float64")
        differences[place] = (exact - single).astype(np.float32)
    return Rounding(differences, "")


def _wide(array: Array) -> Tensor:
    tensor = torch.from_numpy(array)
    return tensor.double() if tensor.is_floating_point() else tensor
