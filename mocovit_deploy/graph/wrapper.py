"""Modules of this package around a network, for pixels or flat arguments. Paths stay the network's own.

    module    TakingPixels.network.blocks.0.weight
    graph     blocks.0.weight

`capture` removes the wrapper's name from every path and parameter, so later steps need not know of wrappers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx, nn
from torch.fx.traceback import preserve_node_meta

from mocovit_deploy.graph.edit import attribute

INNER = "network"


class Wrapper(nn.Module):
    """A module that computes the same as `network` from inputs of another kind."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def run(self, *arguments: Any) -> Any:
        """Run the network. A network that is a graph passes its own module paths on to torch.export."""
        if isinstance(self.network, fx.GraphModule) and torch.compiler.is_exporting():
            with preserve_node_meta():
                return fx.Interpreter(self.network).run(*arguments)
        return self.network(*arguments)


def unwrapped(module: nn.Module) -> nn.Module:
    """The network inside any number of wrappers."""
    while isinstance(module, Wrapper):
        module = module.network
    return module


def tell_own_paths(raw: fx.GraphModule, module: nn.Module) -> None:
    """Replace the module path of every node, sub-graphs included, by the path without wrappers."""
    prefix, kind = _prefix(module), f"{type(module).__module__}.{type(module).__qualname__}"
    graphs = [one for one in raw.modules() if isinstance(one, fx.GraphModule)] if prefix else []
    for node in (node for one in graphs for node in one.graph.nodes):
        stack = node.meta.get("nn_module_stack")
        if stack and next(iter(stack.values()))[1] == kind:
            node.meta["nn_module_stack"] = {key: _own(level, prefix) for key, level in stack.items()}


def with_own_parameters(graph: fx.GraphModule, module: nn.Module) -> fx.GraphModule:
    """The captured flat `graph` of `module`, with parameter names without wrappers."""
    prefix = _prefix(module)
    if not prefix:
        return graph
    reads = [node for node in graph.graph.nodes if node.op == "get_attr"]
    taken = {str(node.target).partition(".")[0] for node in reads} - {INNER}  # by the wrapper's own
    stored = {}
    for node in reads:
        tensor, name = attribute(graph, str(node.target)), str(node.target).removeprefix(prefix)
        node.target = str(node.target) if name.partition(".")[0] in taken else name
        stored[node.target] = tensor
    return fx.GraphModule(stored, graph.graph)


def _prefix(module: nn.Module) -> str:
    prefix = ""
    while isinstance(module, Wrapper):
        prefix, module = f"{prefix}{INNER}.", module.network
    return prefix


def _own(level: tuple[str, Any], prefix: str) -> tuple[str, Any]:
    """One level of a module stack, with the path without wrappers."""
    path, kind = level
    return ("" if prefix.startswith(f"{path}.") else path.removeprefix(prefix), kind)
