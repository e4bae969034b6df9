"""The loop of most rewrites: find every call of some operations, and rewrite the graph there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import fx

from mocovit_deploy.graph.edit import cleanup, count_calls, nodes_calling, share_graph
from mocovit_deploy.passes.result import Change, PassResult

Rewrite = Callable[[fx.GraphModule, fx.Node], Change | None]
"""Changes the graph at a node and returns what it did; None if it leaves the node unchanged."""


def at_each(graph: fx.GraphModule, targets: tuple[Any, ...], rewrite_at: Rewrite) -> PassResult:
    """A new graph, rewritten at each call of `targets`, in order; `graph` itself if nothing changes."""
    if not count_calls(graph, *targets):
        return PassResult(graph)
    edited = share_graph(graph)
    done = [rewrite_at(edited, node) for node in nodes_calling(edited, *targets)]
    changes = tuple(change for change in done if change is not None)
    return PassResult(cleanup(edited), changes) if changes else PassResult(graph)
