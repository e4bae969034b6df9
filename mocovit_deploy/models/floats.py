"""Convert a network in bfloat16, float16 or float64 to float32, the type of files.

The user's network is not changed; this is a copy. Every bfloat16 and float16 number is a float32 number, so
the copy has exactly the same weights. Only the rounding of computed values differs, which is measured and
reported.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from mocovit_deploy.errors import ConversionError, first_line
from mocovit_deploy.graph.capture import capture
from mocovit_deploy.graph.edit import in_single
from mocovit_deploy.parity.compare import compare_output


class InFloat32(NamedTuple):
    """A network with all its floats in float32."""

    module: nn.Module
    """A converted copy, or the network itself if it was in float32 already."""
    remark: str
    """For the user: which type the weights had, and what the conversion changes. Empty without one."""


def in_float32(module: nn.Module, example: Sequence[Tensor], name: str) -> InFloat32:
    """Convert the network called `name` to float32 if it has floats of another type.

    `example` holds its inputs, in float32. Raises `ConversionError` if the copy does not run.
    """
    own = sorted(
        {
            str(tensor.dtype).removeprefix("torch.")
            for tensor in itertools.chain(module.parameters(), module.buffers())
            if tensor.is_floating_point() and tensor.dtype != torch.float32
        }
    )
    if not own:
        return InFloat32(module, "")
    dtype = getattr(torch, own[0])
    try:
        single, expected = _copy(module, example, dtype)
    except Exception as error:  # the user's forward may raise any type
        raise ConversionError(
            f"{name} has weights in {' and '.join(own)} and does not run in float32, the type of files "
            f"({first_line(error)}); let forward compute in the type of its weights, or export it in float32"
        ) from error
    distance = _distance(module, example, expected, dtype)
    remark = f"{name} has weights in {' and '.join(own)}, but files compute in float32"
    if distance is not None:
        remark += f"; its outputs differ by {distance:.0e} of range"
    return InFloat32(single, remark)


def _copy(module: nn.Module, example: Sequence[Tensor], dtype: torch.dtype) -> tuple[nn.Module, Any]:
    """The network in float32, and its outputs. A graph instead of a module if its forward casts by itself."""
    with torch.no_grad():
        if isinstance(module, fx.GraphModule):
            single: nn.Module = in_single(module)
            return single, single(*example)
        if not isinstance(module, torch.jit.ScriptModule):
            with contextlib.suppress(Exception):
                single = copy.deepcopy(module).float()
                return single, single(*example)
        try:
            graph = capture(module, example)
        except ConversionError:
            graph = capture(module, _in(dtype, example))
        single = in_single(graph)
        return single, single(*example)


def _in(dtype: torch.dtype, example: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.to(dtype) if tensor.is_floating_point() else tensor for tensor in example]


def _distance(
    module: nn.Module, example: Sequence[Tensor], expected: object, dtype: torch.dtype
) -> float | None:
    """The largest difference to the network's own outputs, relative to their range; None if it cannot run."""
    try:
        with torch.no_grad():
            found = module(*_in(dtype, example))
    except Exception:  # noqa: BLE001 - a processor without this type, or a network that casts by itself
        return None
    sides = [
        [leaf.double().numpy()[None] for leaf in pytree.tree_leaves(side) if isinstance(leaf, Tensor)]
        for side in (expected, found)
    ]
    return max((compare_output("", *pair).max_error for pair in zip(*sides, strict=True)), default=None)
