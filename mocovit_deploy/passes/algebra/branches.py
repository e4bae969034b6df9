"""Terms of a sum as convolutions of one input: find them, say why one cannot be merged, and get its kernel.

A branch of `source` is a convolution of `source`, a BatchNorm of it, or `source` itself (an identity).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import fx

from mocovit_deploy.graph.edit import BATCH_NORMS, CONVOLUTIONS, argument, shape_of
from mocovit_deploy.passes.algebra import border, kernels
from mocovit_deploy.passes.algebra.affine import Affine
from mocovit_deploy.passes.algebra.border import zero_padding
from mocovit_deploy.passes.algebra.kernels import Kernel
from mocovit_deploy.passes.algebra.plan import (
    Readers,
    argument_tensor,
    is_transposed,
    map_of,
    reader_name,
    why_not_constant,
    why_not_own,
)
from mocovit_deploy.passes.algebra.sums import Sum, Term


def is_branch(term: fx.Node, source: fx.Node) -> bool:
    """Whether this term of a sum is a convolution or a BatchNorm of `source`, or `source` itself."""
    return term is source or (term.target in CONVOLUTIONS + BATCH_NORMS and term.args[0] is source)


def why_unfit(
    graph: fx.GraphModule, total: Sum, branch: fx.Node, source: fx.Node, readers: Readers
) -> str | None:
    """Why this branch cannot be merged with any other; None if it can."""
    if branch is source:
        return None
    others = sorted({reader_name(user) for user in branch.users if user not in total.inner})
    if others:
        return f"a branch of a sum, but its output is also read by {', '.join(others)}"
    if branch.target in BATCH_NORMS:
        return why_not_constant(graph, branch)
    if why := why_not_own(graph, branch, readers):
        return why
    if len(shape_of(branch)) != argument_tensor(graph, branch, "weight").dim():
        return "a convolution of a single image without a batch axis"
    if is_transposed(branch):
        return "a transposed convolution"
    if _padding_of(graph, branch) is None:
        return "its padding differs between two sides"
    return None


def kernel_of(graph: fx.GraphModule, term: Term, source: fx.Node) -> Kernel:
    """A branch as a convolution, in float64; negated if the sum subtracts the branch."""
    kernel = _kernel_of(graph, term.node, source)
    return replace(kernel, weight=kernel.weight * term.sign, bias=kernel.bias * term.sign)


def _kernel_of(graph: fx.GraphModule, branch: fx.Node, source: fx.Node) -> Kernel:
    axes = len(shape_of(branch)) - 2
    if branch is source:
        ones = torch.ones(shape_of(source)[1], dtype=torch.float64)
        return kernels.of_channels(Affine(ones, torch.zeros_like(ones)), axes)
    if branch.target in BATCH_NORMS:
        return kernels.of_channels(map_of(graph, branch), axes)
    weight, bias = argument_tensor(graph, branch, "weight").double(), argument_tensor(graph, branch, "bias")
    padding = _padding_of(graph, branch)
    assert padding is not None, "decided before"
    return Kernel(
        weight,
        weight.new_zeros(len(weight)) if bias is None else bias.double(),
        per_axis(branch, "stride"),
        padding,
        per_axis(branch, "dilation"),
        argument(branch, "groups"),
    )


def _padding_of(graph: fx.GraphModule, conv: fx.Node) -> tuple[int, ...] | None:
    """The zeros on both sides of each axis; None if the sides of an axis differ."""
    pads = zero_padding(graph, conv)
    return None if any(before != after for before, after in pads) else tuple(before for before, _ in pads)


def per_axis(conv: fx.Node, name: str) -> tuple[int, ...]:
    """An argument of a convolution for each spatial axis."""
    return tuple(border.per_axis(argument(conv, name), len(shape_of(conv)) - 2))
