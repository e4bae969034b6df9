"""Fold the preprocessing of an image into the weights of the first convolution.

    before   image - * 1/255 - (x - mean) / std - Conv(W, b), pad 0 - y
    after    image - (x - m) - Conv(W*s, b), pad 0 - y                  s = 1 / (255 std),  m = 255 mean

    before   image - * 1/255 - (x - mean) / std - Conv(W, b), no padding - y
    after    image - Conv(W*s, b - sum(W*s*m)) - y

    before   image, RGB - flip of the channels - Conv(W, b) - y
    after    image, RGB - Conv(W with its input channels flipped, b) - y

Padded zeros stand for the mean colour, and no single number is the mean of every channel. So the mean is
still subtracted from the pixels, and zeros still stand for it. A cast of an integer image stays.

Shapes    image (N, C, H, W); s, m (C,); W (Cout, Cin/groups, kH, kW)
Refuses   an image that other operations than convolutions read after that; a channel whose scale is 0;
          weights that are used twice; a new order of channels before a convolution with groups
Exact     yes (float64)
Source    the linearity of convolutions
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from mocovit_deploy.graph.edit import (
    BATCH_NORMS,
    CONVOLUTIONS,
    add_parameter,
    argument,
    argument_or,
    aten,
    cleanup,
    constant_tensor,
    count_readers,
    module_path,
    set_parameter,
    shape_of,
    share_graph,
    value_of,
)
from mocovit_deploy.passes.algebra.affine import Affine
from mocovit_deploy.passes.algebra.border import zero_padding
from mocovit_deploy.passes.algebra.hand_on import PADS, to_all
from mocovit_deploy.passes.algebra.plan import Refused, map_of, readers_of, why_not_constant
from mocovit_deploy.passes.result import Change, PassResult, Refusal

CASTS = (aten.to.dtype, aten._to_copy.default)


@dataclass(frozen=True)
class Normalization:
    """The operations on an image that act on each channel: channel i becomes map_i(image[order_i])."""

    image: fx.Node
    steps: tuple[fx.Node, ...]
    """The operations, in order."""
    map: Affine
    order: Tensor
    """(C,): the image's channel that each channel is made from."""

    @property
    def last(self) -> fx.Node:
        """The last operation."""
        return self.steps[-1]

    @property
    def reorders(self) -> bool:
        """Whether the channels change their order."""
        return not torch.equal(self.order, torch.arange(len(self.order)))


def fold_normalization(graph: fx.GraphModule) -> PassResult:
    """The pass described above."""
    graph = share_graph(graph)
    changes, refusals = [], []
    for image in [node for node in graph.graph.nodes if node.op == "placeholder"]:
        found = normalization_of(graph, image)
        if found is None or _is_folded(graph, found):
            continue
        done = _fold(graph, found)
        if isinstance(done, Refused):
            refusals.append(
                Refusal(module_path(found.last), f"the preprocessing of {image.name}: {done.why}")
            )
        else:
            changes.append(done)
    return PassResult(cleanup(graph), tuple(changes), tuple(refusals))


def normalization_of(graph: fx.GraphModule, image: fx.Node) -> Normalization | None:
    """The first operations on `image`, as far as they act on each channel; None if there are none.

    Also None if the input is not an image, (N, C, H, W).
    """
    if not isinstance(image.meta.get("val"), Tensor) or len(shape_of(image)) != 4:
        return None
    channels: Any = shape_of(image)[1]
    if not isinstance(channels, int):  # a size left to the caller
        return None
    done = Affine(torch.ones(channels, dtype=torch.float64), torch.zeros(channels, dtype=torch.float64))
    order, steps, node = torch.arange(channels), [], image
    while len(readers := readers_of(node)) == 1:
        (reader,) = readers
        if reader.target in CASTS and value_of(reader).is_floating_point():
            pass
        elif (step := _map_of(graph, reader, node, channels)) is not None:
            done = step.after(done)
        elif (chosen := _order_of(graph, reader, channels)) is not None:
            done, order = Affine(done.scale[chosen], done.shift[chosen]), order[chosen]
        else:
            break
        node = reader
        steps.append(node)
    if not any(step.target not in CASTS for step in steps):
        return None
    return Normalization(image, tuple(steps), done, order)


def _map_of(graph: fx.GraphModule, node: fx.Node, source: fx.Node, channels: int) -> Affine | None:
    """The per-channel map that `node` computes; None if it computes something else."""
    if node.target in BATCH_NORMS:
        return map_of(graph, node) if why_not_constant(graph, node) is None else None
    make = ARITHMETIC.get(node.target)
    if make is None or not value_of(node).is_floating_point():  # bytes wrap
        return None
    if node.args[0] is not source or argument_or(node, "alpha", 1) != 1:
        return None
    given = _per_channel(graph, node.args[1], channels)
    return None if given is None else make(given)


ARITHMETIC: dict[Any, Callable[[Tensor], Affine]] = {
    aten.mul.Tensor: lambda c: Affine(c, torch.zeros_like(c)),
    aten.div.Tensor: lambda c: Affine(1 / c, torch.zeros_like(c)),
    aten.add.Tensor: lambda c: Affine(torch.ones_like(c), c),
    aten.sub.Tensor: lambda c: Affine(torch.ones_like(c), -c),
}


def _per_channel(graph: fx.GraphModule, value: Any, channels: int) -> Tensor | None:
    """A number or a stored tensor as one number for each channel, (C,) float64; None if it is neither."""
    if isinstance(value, int | float):
        return torch.full((channels,), float(value), dtype=torch.float64)
    stored = constant_tensor(graph, value)
    if stored is None or not stored.is_floating_point():
        return None
    if stored.numel() == 1 and stored.dim() <= 4:
        return stored.detach().double().reshape(1).expand(channels)
    if stored.dim() not in (3, 4) or stored.shape[-3] != channels or stored.numel() != channels:
        return None
    return stored.detach().double().reshape(channels)


def _order_of(graph: fx.GraphModule, node: fx.Node, channels: int) -> Tensor | None:
    """The input channel that each channel of a node is, (C,); None if the node does not permute channels."""
    if node.target is aten.flip.default and [axis % 4 for axis in argument(node, "dims")] == [1]:
        return torch.arange(channels).flip(0)
    if node.target is aten.index_select.default and argument(node, "dim") % 4 == 1:
        chosen = constant_tensor(graph, argument(node, "index"))
    elif node.target is aten.index.Tensor:
        places: Any = node.args[1]
        alone = len(places) > 1 and not any(place for at, place in enumerate(places) if at != 1)
        chosen = constant_tensor(graph, places[1]) if alone else None
    else:
        return None
    if chosen is None or chosen.dtype != torch.int64 or chosen.dim() != 1:
        return None
    return chosen if torch.equal(chosen.sort().values, torch.arange(channels)) else None


def _is_folded(graph: fx.GraphModule, found: Normalization) -> bool:
    """Whether the only step left is the subtraction of the mean, before a convolution that pads."""
    rest = [step for step in found.steps if step.target not in CASTS]
    return len(rest) == 1 and rest[0].target is aten.sub.Tensor and _pads(graph, found.last)


def _fold(graph: fx.GraphModule, found: Normalization) -> Change | Refused:
    """Fold, and return what was done, or why it cannot be done."""
    if not found.map.finite or bool((found.map.scale == 0).any()):
        return Refused("it scales a channel by 0, infinity or NaN")
    centred = _pads(graph, found.last) and bool(found.map.shift.any())
    wanted = Affine(found.map.scale, torch.zeros_like(found.map.shift)) if centred else found.map
    plan = to_all(graph, found.last, wanted, 1, count_readers(graph))
    if isinstance(plan, Refused):
        return plan
    layers = _layers(found.last)
    if found.reorders and any(argument(layer, "groups") != 1 for layer in layers):
        return Refused("it reorders the channels before a convolution with groups")
    for edit in plan.edits:
        edit()
    weight = argument(layers[0], "weight")
    there = torch.argsort(found.order)
    if found.reorders:
        for layer in layers:
            read = argument(layer, "weight")
            stored = constant_tensor(graph, read)
            assert stored is not None
            set_parameter(graph, read, stored.detach()[:, there].contiguous())
    mean = (-found.map.shift / found.map.scale)[there] if centred else None
    found.last.replace_all_uses_with(_image(graph, found, weight, mean))
    taken, *others = plan.takers
    also = f", and {', '.join(others)}" if others else ""
    off = "" if mean is None else f"; pixels minus {', '.join(f'{one:g}' for one in mean.tolist())} remains"
    return Change(taken, f"takes the preprocessing of {found.image.name}{also}{off}")


def _pads(graph: fx.GraphModule, node: fx.Node) -> bool:
    """Whether there is padding between here and the convolutions, or in them."""
    readers = readers_of(node)
    return any(one.target in PADS for one in readers) or any(
        any(map(any, zero_padding(graph, one))) for one in readers if one.target in CONVOLUTIONS
    )


def _layers(node: fx.Node) -> list[fx.Node]:
    """The convolutions that read `node`, directly or padded."""
    found = []
    for reader in readers_of(node):
        found += [reader] if reader.target in CONVOLUTIONS else _layers(reader)
    return found


def _image(graph: fx.GraphModule, found: Normalization, weight: fx.Node, mean: Tensor | None) -> fx.Node:
    """The node that the convolutions read now: the image in floating point, minus the mean."""
    image, stored = found.image, constant_tensor(graph, weight)
    assert stored is not None
    node, meta = image, found.last.meta
    if not value_of(image).is_floating_point():
        with graph.graph.inserting_after(image):
            node = graph.graph.call_function(aten.to.dtype, (image, stored.dtype))
        node.meta = dict(meta)
    if mean is None:
        return node
    off: Any = float(mean[0])
    if not bool((mean == mean[0]).all()):
        off = add_parameter(graph, weight, "pixel_mean", mean.to(stored.dtype).reshape(1, -1, 1, 1))
    with graph.graph.inserting_after(node if isinstance(off, float) else _later(graph, node, off)):
        taken = graph.graph.call_function(aten.sub.Tensor, (node, off))
    taken.meta = dict(meta)
    return taken


def _later(graph: fx.GraphModule, one: fx.Node, other: fx.Node) -> fx.Node:
    """The later of two nodes in the order of execution."""
    order = list(graph.graph.nodes)
    return max(one, other, key=order.index)
