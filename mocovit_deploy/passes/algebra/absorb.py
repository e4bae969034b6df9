"""What comes before or after a BatchNorm and can take it: decided first, done afterwards.

`before` and `after` look at one BatchNorm from its two sides. Each returns either a `Plan`, a list of edits
that together replace the BatchNorm exactly, or a sentence that says why there is none. Nothing is changed
until a plan's edits are carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from mocovit_deploy.graph.edit import (
    BATCH_NORMS,
    CONVOLUTIONS,
    LINEARS,
    TRANSPOSED_CONVOLUTIONS,
    add_parameter,
    argument,
    aten,
    constant,
    module_path,
    set_argument,
    set_parameter,
    shape_of,
)
from mocovit_deploy.passes.algebra import affine
from mocovit_deploy.passes.algebra.affine import Affine

LAYERS = CONVOLUTIONS + TRANSPOSED_CONVOLUTIONS + LINEARS
CONCATS = (aten.cat.default,)
COPYING_PADS = ("reflect", "replicate", "circular")
"""Paddings that repeat values, so that a per-channel map may be done before or after them."""

Readers = Mapping[fx.Node, int]


@dataclass(frozen=True)
class Plan:
    """Edits that replace a BatchNorm, and the module paths that take it."""

    edits: tuple[Callable[[], None], ...]
    takers: tuple[str, ...]


def stored(graph: fx.GraphModule, node: fx.Node, name: str) -> Any:
    """The tensor behind a node's argument, or None."""
    return constant(graph, argument(node, name))


def is_transposed(node: fx.Node) -> bool:
    """Is this a transposed convolution, under its own name or that of all convolutions?"""
    general = node.target is aten.convolution.default
    return node.target in TRANSPOSED_CONVOLUTIONS or bool(general and argument(node, "transposed"))


def reader_name(node: fx.Node) -> str:
    return "the network's output" if node.op == "output" else module_path(node)


def map_of(graph: fx.GraphModule, norm: fx.Node) -> Affine:
    """The affine map a BatchNorm with stored statistics is."""
    mean, variance, gamma, beta = (
        stored(graph, norm, name) for name in ("running_mean", "running_var", "weight", "bias")
    )
    with torch.no_grad():
        return affine.of_batchnorm(mean, variance, gamma, beta, argument(norm, "eps"))


def before(graph: fx.GraphModule, norm: fx.Node, readers: Readers) -> Plan | str:
    """Hand the BatchNorm to what computes its input: a layer, another BatchNorm, or a concat of such."""
    source = norm.args[0]
    assert isinstance(source, fx.Node)
    return _hand_back(graph, source, norm, map_of(graph, norm), readers)


def _hand_back(
    graph: fx.GraphModule, node: fx.Node, reader: fx.Node, wanted: Affine, readers: Readers
) -> Plan | str:
    """Make `node` compute `wanted` of what it computes; `reader` is the one node that may read it."""
    where = module_path(node)
    if node.target not in LAYERS + BATCH_NORMS + CONCATS:
        what = "the network's input" if node.op == "placeholder" else f"{node.target} of {where}"
        return f"follows {what}, not a convolution or linear layer"
    others = sorted({reader_name(user) for user in node.users if user is not reader})
    if others:
        return f"the output of {where} is also read by {', '.join(others)}"
    if node.target in CONCATS:
        return _hand_back_to_all(graph, node, wanted, readers)
    if node.target in LINEARS and len(shape_of(node)) != 2:
        return f"normalises axis 1, which is not the output channel axis of {where}"
    if why := why_not_own(graph, node, readers):
        return why
    if node.target in BATCH_NORMS:
        return _compose(graph, node, wanted)
    transposed = argument(node, "groups") if is_transposed(node) else None
    with torch.no_grad():
        weight, bias = affine.after_layer(
            stored(graph, node, "weight"), stored(graph, node, "bias"), wanted, transposed
        )
    return _give(graph, node, weight, bias)


def _hand_back_to_all(graph: fx.GraphModule, concat: fx.Node, wanted: Affine, readers: Readers) -> Plan | str:
    """Each input of a channel concat takes its own range of the map."""
    parts: Any = concat.args[0]
    axis = argument(concat, "dim") % len(shape_of(concat))
    if axis != 1:
        return f"the concat of {module_path(concat)} joins axis {axis}, not the channels"
    if len(set(parts)) != len(parts):
        return f"the concat of {module_path(concat)} reads one tensor twice"
    plans = []
    sizes = [shape_of(part)[1] for part in parts]
    for part, wanted_part in zip(parts, wanted.split(sizes), strict=True):
        plan = _hand_back(graph, part, concat, wanted_part, readers)
        if isinstance(plan, str):
            return f"through the concat of {module_path(concat)}: {plan}"
        plans.append(plan)
    return Plan(
        tuple(edit for plan in plans for edit in plan.edits),
        tuple(taker for plan in plans for taker in plan.takers),
    )


def _compose(graph: fx.GraphModule, norm: fx.Node, wanted: Affine) -> Plan | str:
    """One BatchNorm that does `norm` and then `wanted`: new scale and shift, the statistics stay."""
    if why := why_not_constant(graph, norm):
        return f"follows a BatchNorm that is {why}"
    gamma, beta = stored(graph, norm, "weight"), stored(graph, norm, "bias")
    if gamma is None or beta is None:
        return f"follows the BatchNorm {module_path(norm)}, which has no scale and shift to take it"
    with torch.no_grad():
        scaled = (gamma.double() * wanted.scale).to(gamma.dtype)
        shifted = (beta.double() * wanted.scale + wanted.shift).to(beta.dtype)
    return _give(graph, norm, scaled, shifted)


def after(graph: fx.GraphModule, norm: fx.Node, readers: Readers) -> Plan | str:
    """Hand the BatchNorm to everything that reads it: convolutions and linear layers, padded or not."""
    if not norm.users:
        return "nothing reads it"
    wanted = map_of(graph, norm)
    plans = []
    for user in norm.users:
        plan = _hand_on(graph, user, norm, wanted, readers)
        if isinstance(plan, str):
            return plan
        plans.append(plan)
    return Plan(
        tuple(edit for plan in plans for edit in plan.edits),
        tuple(taker for plan in plans for taker in plan.takers),
    )


def _hand_on(
    graph: fx.GraphModule, reader: fx.Node, source: fx.Node, wanted: Affine, readers: Readers
) -> Plan | str:
    """Make `reader` take `wanted` of its input upon itself."""
    where = module_path(reader)
    if reader.target in (aten.pad.default, aten.constant_pad_nd.default):
        return _hand_on_through_padding(graph, reader, wanted, readers)
    if reader.target not in LAYERS or reader.args[0] is not source or is_transposed(reader):
        what = "the network's output" if reader.op == "output" else f"{reader.target} of {where}"
        what = f"the transposed convolution {where}" if is_transposed(reader) else what
        return f"is read by {what}, not by a convolution or linear layer alone"
    if reader.target in LINEARS and len(shape_of(source)) != 2:
        return f"normalises axis 1, which is not the input channel axis of {where}"
    if why := why_not_own(graph, reader, readers):
        return why
    border = _own_border(graph, reader, wanted)
    if isinstance(border, str):
        return border
    groups = argument(reader, "groups") if reader.target in CONVOLUTIONS else 1
    with torch.no_grad():
        weight, bias = affine.before_layer(
            stored(graph, reader, "weight"), stored(graph, reader, "bias"), wanted, groups
        )
    plan = _give(graph, reader, weight, bias)
    return Plan((*plan.edits, *border.edits), plan.takers) if isinstance(plan, Plan) else plan


def _own_border(graph: fx.GraphModule, layer: fx.Node, wanted: Affine) -> Plan | str:
    """What to do about a convolution's zero padding: it pads *after* the map, and will pad before it."""
    padding = [] if layer.target in LINEARS else argument(layer, "padding")
    if padding == "same" or isinstance(padding, str):
        if padding == "valid":
            return Plan((), ())
        return f"{module_path(layer)} pads by 'same', whose border this pass does not move"
    if not any(padding) or not bool(wanted.shift.any()):
        return Plan((), ())
    border = wanted.border_for(0.0)
    if border is None:
        return f"{module_path(layer)} pads with zeros, and no single number is zero after the BatchNorm"

    def pad_explicitly() -> None:
        sides = [side for amount in reversed(padding) for side in (amount, amount)]
        source = layer.args[0]
        assert isinstance(source, fx.Node)
        with graph.graph.inserting_before(layer):
            padded = graph.graph.call_function(aten.constant_pad_nd.default, (source, sides, border))
        padded.meta = {**layer.meta, "val": aten.constant_pad_nd.default(source.meta["val"], sides, border)}
        layer.update_arg(0, padded)
        set_argument(layer, "padding", [0] * len(padding))

    return Plan((pad_explicitly,), ())


def _hand_on_through_padding(
    graph: fx.GraphModule, pad: fx.Node, wanted: Affine, readers: Readers
) -> Plan | str:
    """A padding node before the layers: repeating ones let the map through, constant ones need its number."""
    edits: tuple[Callable[[], None], ...] = ()
    mode = argument(pad, "mode") if pad.target is aten.pad.default else "constant"
    sides = argument(pad, "pad")
    channels_padded = len(sides) > 2 * (len(shape_of(pad)) - 2)
    if channels_padded:
        return f"{module_path(pad)} pads the channel axis"
    if mode not in COPYING_PADS:
        border = wanted.border_for(float(argument(pad, "value") or 0.0))
        if border is None:
            return f"{module_path(pad)} pads with a number that no single number before the BatchNorm gives"
        edits = (lambda: set_argument(pad, "value", border),)
    plans = []
    for user in pad.users:
        plan = _hand_on(graph, user, pad, wanted, readers)
        if isinstance(plan, str):
            return plan
        plans.append(plan)
    return Plan(
        (*edits, *(edit for plan in plans for edit in plan.edits)),
        tuple(taker for plan in plans for taker in plan.takers),
    )


def why_not_own(graph: fx.GraphModule, node: fx.Node, readers: Readers) -> str | None:
    """Why the weights of a layer or BatchNorm may not be changed for this one call, or None."""
    for name in ("weight", "bias"):
        value = argument(node, name)
        if value is None:
            continue
        if constant(graph, value) is None:
            return f"the {name} of {module_path(node)} is computed by the network, not stored"
        if readers.get(value, 1) > 1:
            return f"{module_path(node)} is called more than once, or shares its {name}"
    return None


def why_not_constant(graph: fx.GraphModule, norm: fx.Node) -> str | None:
    """Why a BatchNorm is not a fixed affine map, or None where it is one."""
    if argument(norm, "training"):
        return "in training mode: it normalises by the statistics of the batch it is given"
    if argument(norm, "running_mean") is None or argument(norm, "running_var") is None:
        return "without running statistics (track_running_stats=False)"
    for name in ("running_mean", "running_var", "weight", "bias"):
        value = argument(norm, name)
        if value is not None and constant(graph, value) is None:
            return f"its {name} is computed by the network, not stored"
    return None


def _give(graph: fx.GraphModule, node: fx.Node, weight: Tensor, bias: Tensor) -> Plan | str:
    """The edit that sets a node's weight and bias, where they are finite."""
    if not (weight.isfinite().all() and bias.isfinite().all()):
        return f"folding it into {module_path(node)} would overflow: its variance is too close to zero"

    def edit() -> None:
        weight_node, bias_node = argument(node, "weight"), argument(node, "bias")
        set_parameter(graph, weight_node, weight)
        if bias_node is None:
            set_argument(node, "bias", add_parameter(graph, weight_node, "bias", bias))
        else:
            set_parameter(graph, bias_node, bias)

    return Plan((edit,), (module_path(node),))
