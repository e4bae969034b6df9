"""Tracking one axis of a value through operations that only move numbers."""

from __future__ import annotations

import torch
from torch import Tensor, fx

from mocovit_deploy.graph.edit import aten

MOVES = (
    aten.reshape.default,
    aten.transpose.int,
    aten.permute.default,
    aten.flatten.using_ints,
    aten.unsqueeze.default,
    aten.squeeze.dim,
)
"""Operations whose result holds the same numbers, perhaps in another order or shape."""


def positions(shape: tuple[int, ...], axis: int) -> Tensor:
    """A tensor of `shape` that holds each number's position along `axis`."""
    size = shape[axis]
    return (
        torch.arange(size)
        .reshape([size if i == axis % len(shape) else 1 for i in range(len(shape))])
        .expand(shape)
    )


def moved(node: fx.Node, value: Tensor) -> Tensor:
    """The result of the operation `node`, one of `MOVES`, with `value` in place of its first input."""
    result: Tensor = node.target(value, *node.args[1:], **node.kwargs)  # type: ignore[operator]
    return result
