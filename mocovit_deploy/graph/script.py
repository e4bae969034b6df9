"""A traced or scripted module (`torch.jit`) as a graph, through torch's own converter.

torch.export captures Python code but not ScriptModules. The converter's graph has no modules, so nodes that
read a parameter are recorded under the module that owns it, and all others under the network itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx

from mocovit_deploy.errors import ConversionError, first_line
from mocovit_deploy.graph.edit import BATCH_NORMS, DROPOUTS, argument, module_path, nodes_calling


def graph_of(module: torch.jit.ScriptModule, example: Sequence[Tensor]) -> fx.GraphModule:
    """The graph of `module` in its present mode, for torch.export.

    `example` holds the inputs of one run. Raises `ConversionError` if torch cannot convert the module, or if
    it was traced in training mode.
    """
    from torch._export.converter import TS2EPConverter

    try:
        raw: Any = TS2EPConverter(module, tuple(example), {}).convert().module(check_guards=False)
    except Exception as error:  # the converter raises any type
        raise ConversionError(
            f"torch cannot convert the ScriptModule {module.original_name} ({first_line(error)}); export the "
            "torch.nn.Module it was made from"
        ) from error
    del raw.train, raw.eval  # torch makes both raise; the graph has no mode to change
    for node in raw.graph.nodes:
        if node.op == "call_function":
            read = (str(one.target) for one in node.all_input_nodes if one.op == "get_attr")
            owner = next((path.rpartition(".")[0] for path in read if "." in path), "")
            node.meta["nn_module_stack"] = {owner: (owner, module.original_name)}
    assert isinstance(raw, fx.GraphModule)
    require_inference(raw, "torch.jit.trace")
    return raw


def require_inference(graph: fx.GraphModule, captured_by: str) -> None:
    """Raise `ConversionError` for a BatchNorm or a dropout that was captured in training mode.

    `captured_by` names the function that captured it, for the message.
    """
    for node in nodes_calling(graph, *BATCH_NORMS, *DROPOUTS):
        if argument(node, "training" if node.target in BATCH_NORMS else "train"):
            raise ConversionError(
                f"{module_path(node)} computes in training mode; call .eval() before {captured_by}"
            )
