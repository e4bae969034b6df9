"""Merge parallel convolutions, and an identity or a BatchNorm parallel to them, into one convolution.

    before   x -+- Conv3x3(V, a) --------+
                +- Conv1x1(W, b) --------+- sum - y    branches of one input that only the sum reads;
                +- BatchNorm(s, t) ------+             any number of them, added or subtracted, in any order,
                +------------------------+             also with other terms between
    after    x - Conv3x3(V + W' + I*s + I, a + b + t) - y

W' is W in the centre of a 3x3 kernel, I the 3x3 kernel that returns its input; `kernels` has the algebra. A
convolution followed by a BatchNorm is one convolution already, because `fold_batchnorm` runs first. A
BatchNorm of the whole sum is folded once the sum is a convolution. The computation decides, not the class, so
RepVGG, MobileOne, RepGhost, GhostNetV3 and the user's own blocks are merged alike, however the sum is
written. The border stays exact, because all branches see the same zeros there.

Shapes    V, W (Cout, Cin/groups, kH, kW), each its own kH, kW; a, b, s, t (Cout,); the merged kernel
          spans all taps, with the stride, the groups and the output size of the branches
Refuses   a branch with another reader; weights that are shared or computed; BatchNorm in training mode;
          branches with different groups or strides; a kernel with more weights than the branches, as for 1x3
          and 3x1; padding that differs between two sides; a result that overflows
Exact     yes (float64)
Source    arXiv:2101.03697, section 3.3 (RepVGG); arXiv:2206.04040 (MobileOne); arXiv:2211.06088 (RepGhost)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx

from mocovit_deploy.graph.edit import (
    BATCH_NORMS,
    CONVOLUTIONS,
    add_parameter,
    argument,
    aten,
    cleanup,
    count_readers,
    module_path,
    replace,
    set_parameter,
    share_graph,
)
from mocovit_deploy.passes.algebra import kernels
from mocovit_deploy.passes.algebra.branches import is_branch, kernel_of, per_axis, why_unfit
from mocovit_deploy.passes.algebra.kernels import Kernel
from mocovit_deploy.passes.algebra.plan import Readers, Refused, argument_tensor
from mocovit_deploy.passes.algebra.sums import Sum, Term, roots_of, sum_at
from mocovit_deploy.passes.fold_batchnorm import fold, plan_for
from mocovit_deploy.passes.result import Change, PassResult, Refusal

CONVOLUTION_OF = {1: aten.conv1d.default, 2: aten.conv2d.default}
"""The convolution with that many spatial axes."""


@dataclass(frozen=True)
class Merge:
    """One convolution in place of several terms of a sum."""

    source: fx.Node
    """The input of all branches."""
    branches: tuple[Term, ...]
    """The terms that are merged; `source` itself stands for an identity."""
    host: fx.Node
    """The convolution whose parameters become the merged kernel."""
    kernel: Kernel
    weight: Tensor
    """The kernel's weight and bias in the host's dtype."""
    bias: Tensor


def merge_branches(graph: fx.GraphModule) -> PassResult:
    """The pass described above."""
    graph = share_graph(graph)
    readers = count_readers(graph)
    changes: list[Change] = []
    refusals: list[Refusal] = []
    for root in roots_of(graph):
        total = sum_at(root)
        merges, refused = _decide(graph, total, readers)
        refusals += refused
        for merge in merges:
            changes += _account(total, merge)
        if merges:
            changes += _fold_behind(graph, _carry_out(graph, total, merges))
    return PassResult(cleanup(graph), tuple(changes), tuple(refusals))


def _decide(graph: fx.GraphModule, total: Sum, readers: Readers) -> tuple[list[Merge], list[Refusal]]:
    """The merges in one sum, and the branches that look mergeable but are not."""
    merges: list[Merge] = []
    refused: dict[fx.Node, str] = {}
    convolutions = [term.node for term in total.terms if term.node.target in CONVOLUTIONS]
    for source in dict.fromkeys(conv.args[0] for conv in convolutions):
        assert isinstance(source, fx.Node)
        branches = [term for term in total.terms if is_branch(term.node, source)]
        if len(branches) < 2:
            continue
        fit = []
        for branch in branches:
            if why := why_unfit(graph, total, branch.node, source, readers):
                refused[branch.node] = why
            else:
                fit.append(branch)
        for alike in _alike(fit, source, refused):
            merge = _merge(graph, total, alike, source)
            if isinstance(merge, Refused):
                refused[total.root] = merge.why
            else:
                merges.append(merge)
    merged = {branch.node for merge in merges for branch in merge.branches}
    return merges, [Refusal(module_path(n), why) for n, why in refused.items() if n not in merged]


def _alike(fit: Sequence[Term], source: fx.Node, refused: dict[fx.Node, str]) -> list[tuple[Term, ...]]:
    """Branches grouped by stride and groups. Identity and BatchNorm join the first group with stride 1."""
    kinds: dict[tuple[object, ...], list[Term]] = {}
    maps = [branch for branch in fit if branch.node is source or branch.node.target in BATCH_NORMS]
    for branch in (branch for branch in fit if branch not in maps):
        conv = branch.node
        kinds.setdefault((*per_axis(conv, "stride"), argument(conv, "groups")), []).append(branch)
    for (*stride, _), branches in kinds.items():
        if set(stride) == {1}:
            branches.extend(maps)
            break
    for branches in kinds.values():
        if len(branches) == 1 < len(kinds):
            refused[branches[0].node] = "a branch of a sum, but no other branch has its stride and its groups"
    return [tuple(branches) for branches in kinds.values() if len(branches) > 1]


def _merge(graph: fx.GraphModule, total: Sum, branches: tuple[Term, ...], source: fx.Node) -> Merge | Refused:
    """The merge of `branches`, or why they cannot be merged."""
    with torch.no_grad():
        parts = {branch: kernel_of(graph, branch, source) for branch in branches}
        kernel = kernels.add_kernels([parts[branch] for branch in branches])
    convolutions = [b for b in branches if b.node is not source and b.node.target in CONVOLUTIONS]
    host = max(convolutions, key=lambda branch: parts[branch].weight.numel()).node
    paths = ("identity" if branch.node is source else module_path(branch.node) for branch in branches)
    names = ", ".join(dict.fromkeys(paths))
    cost, allowed = kernel.weight.numel(), sum(part.weight.numel() for part in parts.values())
    if cost > allowed:
        return Refused(f"{names}: the merged kernel would have {cost} weights, more than their {allowed}")
    stored_as = argument_tensor(graph, host, "weight").dtype
    weight, bias = kernel.weight.to(stored_as), kernel.bias.to(stored_as)
    if not (weight.isfinite().all() and bias.isfinite().all()):
        return Refused(f"{names}: merging them would overflow: a variance is too close to zero")
    return Merge(source, branches, host, kernel, weight, bias)


def _account(total: Sum, merge: Merge) -> list[Change]:
    """One change for every branch that is merged into the host."""
    into = module_path(merge.host)
    gone = [branch.node for branch in merge.branches]
    gone.remove(merge.host)
    return [
        Change(module_path(total.root), f"identity merged into {into}")
        if branch is merge.source
        else Change(module_path(branch), f"merged into {into}")
        for branch in dict.fromkeys(gone)
    ]


def _carry_out(graph: fx.GraphModule, total: Sum, merges: Sequence[Merge]) -> fx.Node:
    """Rewrite the sum with one convolution in place of each merge's branches; returns its node."""
    merged = {branch.node for merge in merges for branch in merge.branches}
    terms = [Term(_insert(graph, total, merge), 1) for merge in merges]
    terms += [term for term in total.terms if term.node not in merged]
    value = terms[0].node
    for term, sign in terms[1:]:
        with graph.graph.inserting_before(total.root):
            operation = aten.add.Tensor if sign == 1 else aten.sub.Tensor
            value = graph.graph.call_function(operation, (value, term))
        value.meta = dict(total.root.meta)
    replace(total.root, value)
    for gone in [*sorted(total.inner - {total.root}, reverse=True), *merged]:
        if gone.op == "call_function" and not gone.users:
            graph.graph.erase_node(gone)
    return value


def _fold_behind(graph: fx.GraphModule, value: fx.Node) -> list[Change]:
    """Fold a BatchNorm of the sum, which follows a convolution now if all terms were merged."""
    changes = []
    while value.target in CONVOLUTIONS and [user.target in BATCH_NORMS for user in value.users] == [True]:
        norm = next(iter(value.users))
        plan = plan_for(graph, norm, count_readers(graph))
        if isinstance(plan, Refused):
            break
        changes.append(Change(module_path(norm), f"folded into {', '.join(plan.takers)}"))
        fold(plan, norm)
    return changes


def _insert(graph: fx.GraphModule, total: Sum, merge: Merge) -> fx.Node:
    """Insert the merged convolution, with the module path and the parameters of its host."""
    weight, bias = argument(merge.host, "weight"), argument(merge.host, "bias")
    set_parameter(graph, weight, merge.weight)
    if bias is None:
        bias = add_parameter(graph, weight, "bias", merge.bias)
    else:
        set_parameter(graph, bias, merge.bias)
    kernel = merge.kernel
    target = CONVOLUTION_OF[len(kernel.stride)]
    geometry = (list(kernel.stride), list(kernel.padding), list(kernel.dilation), kernel.groups)
    with graph.graph.inserting_before(total.root):
        conv = graph.graph.call_function(target, (merge.source, weight, bias, *geometry))
    conv.meta = dict(merge.host.meta)
    return conv
