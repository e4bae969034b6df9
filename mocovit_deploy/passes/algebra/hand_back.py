"""Give a per-channel map to the operations that compute its input.

before   x - Conv(W, b) - ... - (s*y + t)              ... are operations of `carry`
after    x - Conv(W*s, b*s + t) - ...

before   x - Conv(V, a) -+                             after    x - Conv(V*s, a*s + t) -+
         x - Conv(W, b) -+- add - (s*y + t)                     x - Conv(W*s, b*s) -----+- add
before   the same with concat instead of add           after    each takes its own range of s and t
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx

from mocovit_deploy.graph.edit import (
    BATCH_NORMS,
    LAYERS,
    argument,
    aten,
    constant_tensor,
    module_path,
    set_parameter,
    shape_of,
)
from mocovit_deploy.passes.algebra import affine, carry
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
    reader_name,
    readers_of,
    together,
    why_not_constant,
    why_not_own,
)

CONCATS = (aten.cat.default,)
SUMS = (aten.add.Tensor, aten.sub.Tensor)


def before(graph: fx.GraphModule, norm: fx.Node, readers: Readers) -> FoldPlan | Refused:
    """Give a BatchNorm to its input: a layer, another BatchNorm, or a concat or sum of those."""
    source = norm.args[0]
    assert isinstance(source, fx.Node)
    return _hand_back(graph, source, norm, map_of(graph, norm), 1, readers)


def _hand_back(
    graph: fx.GraphModule, node: fx.Node, reader: fx.Node, wanted: Affine, axis: int, readers: Readers
) -> FoldPlan | Refused:
    """Let `node` compute also the map `wanted` along `axis` of its result, which only `reader` may read."""
    where = module_path(node)
    if node.target not in LAYERS + BATCH_NORMS + CONCATS + SUMS + carry.CARRIERS:
        what = "the network's input" if node.op == "placeholder" else f"{node.target} of {where}"
        return Refused(f"follows {what}, not a convolution or linear layer")
    others = sorted({reader_name(user) for user in readers_of(node) if user is not reader})
    if others:
        return Refused(f"the output of {where} is also read by {', '.join(others)}")
    if node.target in carry.CARRIERS:
        carried = carry.back(node, axis, wanted)
        source = node.args[0]
        assert isinstance(source, fx.Node)
        if carried is None:
            return Refused(f"follows {node.target} of {where}, which mixes or splits channels")
        return _hand_back(graph, source, node, carried.affine, carried.axis, readers)
    if node.target in CONCATS:
        return _hand_back_to_all(graph, node, wanted, axis, readers)
    if node.target in SUMS:
        return _hand_back_to_terms(graph, node, wanted, axis, readers)
    if why := why_not_own(graph, node, readers):
        return Refused(why)
    if axis != channel_axis(graph, node):
        return Refused(f"normalises axis {axis}, which is not the output channel axis of {where}")
    if node.target in BATCH_NORMS:
        return _compose(graph, node, wanted)
    transposed = argument(node, "groups") if is_transposed(node) else None
    with torch.no_grad():
        parameters = affine.after_layer(
            argument_tensor(graph, node, "weight"), argument_tensor(graph, node, "bias"), wanted, transposed
        )
    return give(graph, node, *parameters)


def _hand_back_to_all(
    graph: fx.GraphModule, concat: fx.Node, wanted: Affine, axis: int, readers: Readers
) -> FoldPlan | Refused:
    """Each input of a concat takes its range of the map; the whole map if other axes are concatenated."""
    parts: Any = concat.args[0]
    where = module_path(concat)
    if len(set(parts)) != len(parts):
        return Refused(f"the concat of {where} reads one tensor twice")
    joins_channels = argument(concat, "dim") % len(shape_of(concat)) == axis
    ranges = (
        wanted.split([shape_of(part)[axis] for part in parts]) if joins_channels else [wanted] * len(parts)
    )
    plan = together(
        _hand_back(graph, part, concat, wanted_part, axis, readers)
        for part, wanted_part in zip(parts, ranges, strict=True)
    )
    return Refused(f"through the concat of {where}: {plan.why}") if isinstance(plan, Refused) else plan


def _hand_back_to_terms(
    graph: fx.GraphModule, total: fx.Node, wanted: Affine, axis: int, readers: Readers
) -> FoldPlan | Refused:
    """Every term takes the scale, and the first also the shift: s*(a + b) + t = (s*a + t) + s*b."""
    where = module_path(total)
    terms = list(total.args[:2])
    plain = all(isinstance(term, fx.Node) for term in terms) and argument(total, "alpha") == 1
    if not plain or terms[0] is terms[1]:
        return Refused(f"follows {total.target} of {where}, not a convolution or linear layer")
    if constant_tensor(graph, terms[0]) is not None:  # the layer, not the constant, takes the shift
        terms.reverse()
        if total.target is aten.sub.Tensor:  # s*(k - a) + t = s*k - (s*a - t): the layer's shift is -t
            wanted = Affine(wanted.scale, -wanted.shift)
    scaled = Affine(wanted.scale, torch.zeros_like(wanted.shift))
    plans = []
    for term, part in zip(terms, (wanted, scaled), strict=True):
        assert isinstance(term, fx.Node)
        stored_term = constant_tensor(graph, term)
        if stored_term is not None:
            plans.append(
                _scale_constant(graph, term, stored_term, scaled, axis - len(shape_of(total)), readers)
            )
        elif shape_of(term) != shape_of(total):
            plans.append(Refused(f"follows {total.target} of {where}, which repeats {module_path(term)}"))
        else:
            plans.append(_hand_back(graph, term, total, part, axis, readers))
    plan = together(plans)
    return Refused(f"through the sum of {where}: {plan.why}") if isinstance(plan, Refused) else plan


def _scale_constant(
    graph: fx.GraphModule, read: fx.Node, value: Tensor, scaled: Affine, axis: int, readers: Readers
) -> FoldPlan | Refused:
    """The edit that scales a stored term, whose channels lie on `axis`, counted from the end (negative)."""
    if readers.get(read, 1) > 1:
        return Refused(f"the stored tensor {read.target} is read more than once")
    if value.dim() < -axis or value.shape[axis] != len(scaled.scale):
        return Refused(f"the stored tensor {read.target} does not have numbers for each channel")
    with torch.no_grad():
        new = (value.double() * scaled.scale.reshape(-1, *[1] * (-axis - 1))).to(value.dtype)
    if not bool(new.isfinite().all()):
        return Refused(f"scaling the stored tensor {read.target} would overflow")
    return FoldPlan((lambda: set_parameter(graph, read, new),), ())


def _compose(graph: fx.GraphModule, norm: fx.Node, wanted: Affine) -> FoldPlan | Refused:
    """Let `norm` compute also the map `wanted`: it gets a new scale and shift, and keeps its statistics."""
    if why := why_not_constant(graph, norm):
        return Refused(f"follows a BatchNorm that is {why}")
    gamma, beta = argument_tensor(graph, norm, "weight"), argument_tensor(graph, norm, "bias")
    if gamma is None or beta is None:
        return Refused(f"follows the BatchNorm {module_path(norm)}, which has no scale and shift to take it")
    with torch.no_grad():
        scaled = (gamma.double() * wanted.scale).to(gamma.dtype)
        shifted = (beta.double() * wanted.scale + wanted.shift).to(beta.dtype)
    return give(graph, norm, scaled, shifted)
