"""Plans of folds: edits that are decided first and made afterwards, and checks that every fold needs.

`hand_back` and `hand_on` fold a per-channel map into one of its two sides. Each returns either a `FoldPlan`,
whose edits together replace the map exactly, or a `Refused` with the reason. Nothing is changed until a
plan's edits are carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from mocovit_deploy.graph.edit import (
    BATCH_NORMS,
    LINEARS,
    TRANSPOSED_CONVOLUTIONS,
    add_parameter,
    argument,
    aten,
    constant_tensor,
    module_path,
    set_argument,
    set_parameter,
    shape_of,
)
from mocovit_deploy.passes.algebra import affine
from mocovit_deploy.passes.algebra.affine import Affine

SHAPE_READERS = (aten.sym_size.int,)
"""Operations that read the size of a tensor, not its values."""

Readers = Mapping[fx.Node, int]
"""For each stored tensor, how many nodes read it (`graph.edit.count_readers`)."""


@dataclass(frozen=True)
class Refused:
    """There is no plan; `why` says the reason."""

    why: str


@dataclass(frozen=True)
class FoldPlan:
    """Edits that together replace a per-channel map."""

    edits: tuple[Callable[[], None], ...]
    takers: tuple[str, ...]
    """The module paths of the layers that absorb the map."""


def together(plans: Iterable[FoldPlan | Refused]) -> FoldPlan | Refused:
    """One plan with the edits of all `plans`, or the first `Refused` among them."""
    edits: list[Callable[[], None]] = []
    takers: list[str] = []
    for plan in plans:
        if isinstance(plan, Refused):
            return plan
        edits += plan.edits
        takers += plan.takers
    return FoldPlan(tuple(edits), tuple(takers))


def give(graph: fx.GraphModule, node: fx.Node, weight: Tensor, bias: Tensor) -> FoldPlan | Refused:
    """The edit that sets a node's weight and bias; refused if they are not finite."""
    if not (weight.isfinite().all() and bias.isfinite().all()):
        return Refused(
            f"folding it into {module_path(node)} would overflow: its variance is too close to zero"
        )

    def edit() -> None:
        weight_node, bias_node = argument(node, "weight"), argument(node, "bias")
        set_parameter(graph, weight_node, weight)
        if bias_node is None:
            set_argument(node, "bias", add_parameter(graph, weight_node, "bias", bias))
        else:
            set_parameter(graph, bias_node, bias)

    return FoldPlan((edit,), (module_path(node),))


def argument_tensor(graph: fx.GraphModule, node: fx.Node, name: str) -> Any:
    """The stored tensor that is a node's argument; None if it is absent or computed."""
    return constant_tensor(graph, argument(node, name))


def is_transposed(node: fx.Node) -> bool:
    """Whether this is a transposed convolution, also as `aten.convolution`."""
    general = node.target is aten.convolution.default
    return node.target in TRANSPOSED_CONVOLUTIONS or bool(general and argument(node, "transposed"))


def channel_axis(graph: fx.GraphModule, layer: fx.Node) -> int | None:
    """The axis of the input and output channels of a layer or BatchNorm; None for an image without batch."""
    rank = len(shape_of(layer))
    if layer.target in LINEARS:
        return rank - 1
    return 1 if layer.target in BATCH_NORMS or rank == argument_tensor(graph, layer, "weight").dim() else None


def readers_of(node: fx.Node) -> list[fx.Node]:
    """The nodes that read the values of `node`, in order."""
    return [user for user in node.users if user.target not in SHAPE_READERS]


def reader_name(node: fx.Node) -> str:
    """The name of a reader in refusals."""
    return "the network's output" if node.op == "output" else module_path(node)


def map_of(graph: fx.GraphModule, norm: fx.Node) -> Affine:
    """The affine map of a BatchNorm with stored statistics."""
    mean, variance, gamma, beta = (
        argument_tensor(graph, norm, name) for name in ("running_mean", "running_var", "weight", "bias")
    )
    with torch.no_grad():
        return affine.of_batchnorm(mean, variance, gamma, beta, argument(norm, "eps"))


def why_not_own(graph: fx.GraphModule, node: fx.Node, readers: Readers) -> str | None:
    """Why the weights of a layer or BatchNorm may not be changed for this call; None if they may."""
    for name in ("weight", "bias"):
        value = argument(node, name)
        if value is None:
            continue
        if constant_tensor(graph, value) is None:
            return f"the {name} of {module_path(node)} is computed by the network, not stored"
        if readers.get(value, 1) > 1:
            return f"{module_path(node)} is called more than once, or shares its {name}"
    return None


def why_not_constant(graph: fx.GraphModule, norm: fx.Node) -> str | None:
    """Why a BatchNorm is not a fixed affine map; None if it is one."""
    if argument(norm, "training"):
        return "in training mode: it normalises by the statistics of each batch"
    if argument(norm, "running_mean") is None or argument(norm, "running_var") is None:
        return "without running statistics (track_running_stats=False)"
    for name in ("running_mean", "running_var", "weight", "bias"):
        value = argument(norm, name)
        if value is not None and constant_tensor(graph, value) is None:
            return f"its {name} is computed by the network, not stored"
    return None
