"""Fold BatchNorm into the layers before it, or if that is not possible into those after it.

    before   x - Conv(W, b) - BatchNorm(g, beta, mu, var) - y
    after    x - Conv(W*s, b*s + t) - y                    s = g / sqrt(var + eps),  t = beta - mu*s

    before   x - Conv(V) -+                                each input of a concat takes its range of s, t
             x - Conv(W) -+- concat - BatchNorm - y
    after    x - Conv(V*s1, t1) -+- concat - y
             x - Conv(W*s2, t2) -+

    before   x - BatchNorm - Conv(W, b) - y                if only such layers read the BatchNorm
    after    x - Conv(W*s, b + sum(W*t)) - y               s, t along W's input channels

    before   x - BatchNorm - BatchNorm - y
    after    x - BatchNorm - y                             which may then be folded further

    before   x - Linear(W, b) - flatten - BatchNorm - reshape - y          tokens, as in LeViT
    after    x - Linear(W*s, b*s + t) - flatten - reshape - y

    before   x - BatchNorm - mean over H, W - Linear(W, b) - y             a classifier
    after    x - mean over H, W - Linear(W*s, b + W t) - y

Both halves of a Ghost module are the first case, because each of its convolutions has its own BatchNorm.
`hand_back` and `hand_on` describe the two sides, `carry` the operations that may lie between: reshapes,
permutations, slices, means, pools, resizing. A convolution that pads with zeros pads after the BatchNorm, but
a convolution that absorbed it pads before. `border` keeps the result right, with padding by one number c if
s*c + t = 0 in every channel, or with a stored correction.

Shapes    W (Cout, Cin/groups, kH, kW) or (out, in); g, beta, mu, var, s, t (C,)
Refuses   a convolution that is called twice, or whose output has another reader; BatchNorm in training mode
          or without running statistics; weights that are computed; a border whose correction would be larger
          than the map that it replaces; a result that overflows
Exact     yes (float64)
Source    arXiv:1502.03167, section 3.1
"""

from __future__ import annotations

from torch import fx

from mocovit_deploy.graph.edit import (
    BATCH_NORMS,
    cleanup,
    count_readers,
    module_path,
    nodes_calling,
    replace,
    share_graph,
)
from mocovit_deploy.passes.algebra.hand_back import before
from mocovit_deploy.passes.algebra.hand_on import after
from mocovit_deploy.passes.algebra.plan import FoldPlan, Readers, Refused, why_not_constant
from mocovit_deploy.passes.result import Change, PassResult, Refusal


def fold_batchnorm(graph: fx.GraphModule) -> PassResult:
    """The pass described above."""
    graph = share_graph(graph)
    changes: list[Change] = []
    while True:
        refusals, folded = [], []
        readers = count_readers(graph)  # a fold only removes readers, which the next round sees
        for norm in nodes_calling(graph, *BATCH_NORMS):
            plan = plan_for(graph, norm, readers)
            if isinstance(plan, Refused):
                refusals.append(Refusal(module_path(norm), plan.why))
                continue
            folded.append(Change(module_path(norm), f"folded into {', '.join(plan.takers)}"))
            fold(plan, norm)
        changes += folded
        if not folded or not refusals:
            return PassResult(cleanup(graph), tuple(changes), tuple(refusals))


def plan_for(graph: fx.GraphModule, norm: fx.Node, readers: Readers) -> FoldPlan | Refused:
    """How to fold this BatchNorm exactly, or why that is not possible."""
    if why := why_not_constant(graph, norm):
        return Refused(why)
    back = before(graph, norm, readers)
    if isinstance(back, FoldPlan):
        return back
    on = after(graph, norm, readers)
    return on if isinstance(on, FoldPlan) else Refused(f"{back.why}; and {on.why}")


def fold(plan: FoldPlan, norm: fx.Node) -> None:
    """Carry out `plan` and erase `norm`."""
    for edit in plan.edits:
        edit()
    source = norm.args[0]
    assert isinstance(source, fx.Node)
    replace(norm, source)
