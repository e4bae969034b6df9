"""Give a per-channel map to the layers that read its result.

before   x - (s*x + t) - ... - Conv(W, b) - y          ... are operations of `carry`, and padding
after    x - ... - Conv(W*s, b + sum(W*t)) - y         s, t along W's inputs; `border` corrects padding
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import fx

from mocovit_deploy.graph.edit import (
    CONVOLUTIONS,
    LAYERS,
    argument,
    aten,
    module_path,
    set_argument,
    shape_of,
)
from mocovit_deploy.passes.algebra import affine, border, carry
from mocovit_deploy.passes.algebra.affine import Affine
from mocovit_deploy.passes.algebra.plan import (
    FoldPlan,
    Readers,
    Refused,
    argument_tensor,
    channel_axis,
    give,
    is_transposed,
    map_of,
    readers_of,
    together,
    why_not_own,
)

PADS = (aten.pad.default, aten.constant_pad_nd.default)
COPYING_PADS = ("reflect", "replicate", "circular")
"""Paddings that copy values, so that a per-channel map has the same result before or after them."""


def after(graph: fx.GraphModule, norm: fx.Node, readers: Readers) -> FoldPlan | Refused:
    """Give a BatchNorm to all its readers, which must be convolutions and linear layers, padded or not."""
    return to_all(graph, norm, map_of(graph, norm), 1, readers)


def to_all(
    graph: fx.GraphModule, source: fx.Node, wanted: Affine, axis: int, readers: Readers
) -> FoldPlan | Refused:
    """Give the map `wanted` along `axis` of the result of `source` to all readers of `source`."""
    users = readers_of(source)
    if not users:
        return Refused("nothing reads it")
    return together(_hand_on(graph, user, source, wanted, axis, readers) for user in users)


def _hand_on(
    graph: fx.GraphModule, reader: fx.Node, source: fx.Node, wanted: Affine, axis: int, readers: Readers
) -> FoldPlan | Refused:
    """Let `reader` absorb the map `wanted` along `axis` of its input."""
    where = module_path(reader)
    if reader.target in PADS:
        return _hand_on_through_padding(graph, reader, wanted, axis, readers)
    if reader.target in carry.CARRIERS:
        carried = carry.on(reader, axis, wanted)
        if carried is None:
            return Refused(f"is read by {reader.target} of {where}, which mixes or splits channels")
        return to_all(graph, reader, carried.affine, carried.axis, readers)
    if reader.target not in LAYERS or reader.args[0] is not source or is_transposed(reader):
        what = "the network's output" if reader.op == "output" else f"{reader.target} of {where}"
        what = f"the transposed convolution {where}" if is_transposed(reader) else what
        return Refused(f"is read by {what}, not only by convolutions and linear layers")
    if why := why_not_own(graph, reader, readers):
        return Refused(why)
    if axis != channel_axis(graph, reader):
        return Refused(f"normalises axis {axis}, which is not the input channel axis of {where}")
    kept = border.move_border(graph, reader, wanted) if reader.target in CONVOLUTIONS else FoldPlan((), ())
    groups = argument(reader, "groups") if reader.target in CONVOLUTIONS else 1
    with torch.no_grad():
        parameters = affine.before_layer(
            argument_tensor(graph, reader, "weight"), argument_tensor(graph, reader, "bias"), wanted, groups
        )
    return together((kept, give(graph, reader, *parameters)))


def _hand_on_through_padding(
    graph: fx.GraphModule, pad: fx.Node, wanted: Affine, axis: int, readers: Readers
) -> FoldPlan | Refused:
    """Move a map past padding, which must copy values or have a constant that one number maps to."""
    edits: tuple[Callable[[], None], ...] = ()
    mode = argument(pad, "mode") if pad.target is aten.pad.default else "constant"
    sides = argument(pad, "pad")
    if axis >= len(shape_of(pad)) - len(sides) // 2:
        return Refused(f"{module_path(pad)} pads the channel axis")
    if mode not in COPYING_PADS:
        number = wanted.border_for(float(argument(pad, "value") or 0.0))
        if number is None:
            return Refused(
                f"{module_path(pad)} pads with a number that no single number becomes in the BatchNorm"
            )
        edits = (lambda: set_argument(pad, "value", number),)
    return together((FoldPlan(edits, ()), to_all(graph, pad, wanted, axis, readers)))
