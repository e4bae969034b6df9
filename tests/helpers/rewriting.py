"""Running one rewrite on a small network, with its proof."""

from __future__ import annotations

from collections import Counter

from torch import Tensor, fx, nn

from mocovit_deploy.graph.capture import capture
from mocovit_deploy.passes.result import PassResult
from mocovit_deploy.passes.run import Pass, run_passes


def rewritten(network: nn.Module, x: Tensor, *rewrites: Pass) -> PassResult:
    """The captured network after `rewrites`, each proven in float64."""
    return run_passes(capture(network.eval(), [x]), [x], rewrites)


def operations(graph: fx.GraphModule) -> Counter[str]:
    """How often each ATen operation is called."""
    calls = [str(node.target) for node in graph.graph.nodes if node.op == "call_function"]
    return Counter(name.removeprefix("aten.").partition(".")[0] for name in calls)
