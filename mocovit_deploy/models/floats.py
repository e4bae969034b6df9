"""A network that computes in bfloat16, float16 or float64, with its own weights in float32, as files have.

What the user gave is left alone: this is a copy. bfloat16 and float16 numbers are float32 numbers, so that
the copy has the very weights; what differs is the rounding of what is computed, which is measured and said.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from mocovit_deploy.errors import ConversionError, first_line
from mocovit_deploy.graph.capture import capture
from mocovit_deploy.graph.edit import in_single
from mocovit_deploy.parity.compare import compare_output


def in_float32(module: nn.Module, example: Sequence[Tensor], name: str) -> tuple[nn.Module, str]:
    """The network with all its floats in float32, and what to say of it; itself and "" where they are.

    `example` are its inputs, in float32. Raises `ConversionError` where the copy does not run.
    """
    own = sorted(
        {
            str(tensor.dtype).removeprefix("torch.")
            for tensor in itertools.chain(module.parameters(), module.buffers())
            if tensor.is_floating_point() and tensor.dtype != torch.float32
        }
    )
    if not own:
        return module, ""
    dtype = getattr(torch, own[0])
    try:
        single, expected = _copy(module, example, dtype)
    except Exception as error:  # the user's forward may raise any type
        raise ConversionError(
            f"{name} has weights in {' and '.join(own)} and does not run in float32, which files have "
            f"({first_line(error)}); let forward take the type of its weights, or hand it over in float32"
        ) from error
    distance = _distance(module, example, expected, dtype)
    remark = f"{name} has weights in {' and '.join(own)}, and files compute in float32"
    return single, remark if distance is None else f"{remark}: {distance:.0e} of the range from what it gives"


def _copy(module: nn.Module, example: Sequence[Tensor], dtype: torch.dtype) -> tuple[nn.Module, Any]:
    """The network in float32, and its outputs: as a module, or, where forward casts by itself, as a graph."""
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
    """How far the network's own outputs are, relative to their range; None if it does not run here."""
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
