"""A traced or scripted module (`torch.jit`) as a graph, through torch's own converter.

torch.export takes Python code and no ScriptModules. What the converter gives has no modules, so nodes that
read a parameter are said to be of the module that owns it, and all others of the network itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx

from mocovit_deploy.errors import ConversionError, first_line
from mocovit_deploy.graph.edit import BATCH_NORMS, argument, aten, module_path, nodes_calling

DROPOUTS = (aten.dropout.default, aten.feature_dropout.default)


def graph_of(module: torch.jit.ScriptModule, example: Sequence[Tensor]) -> fx.GraphModule:
    """The graph of `module` in the mode it is in, for torch.export to take.

    Raises `ConversionError` where the converter cannot take it, or where it was traced in training mode.
    """
    from torch._export.converter import TS2EPConverter

    try:
        raw: Any = TS2EPConverter(module, tuple(example), {}).convert().module(check_guards=False)
    except Exception as error:  # the converter raises any type
        raise ConversionError(
            f"torch cannot convert the ScriptModule {module.original_name} ({first_line(error)}); hand over "
            "the torch.nn.Module it was made from"
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
    """`ConversionError` for a BatchNorm or dropout that was captured in training mode."""
    for node in nodes_calling(graph, *BATCH_NORMS, *DROPOUTS):
        if argument(node, "training" if node.target in BATCH_NORMS else "train"):
            raise ConversionError(
                f"{module_path(node)} computes in training mode; call .eval() before {captured_by}"
            )
