"""Operations that no family writes, decomposed by PyTorch into operations that families write.

einsum("bnc,bmc->bnm", a, b)     permute, reshape, bmm
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import fx
from torch.fx.experimental.proxy_tensor import make_fx

from exporters.tflite.direct.axes import Value
from exporters.tflite.direct.unsupported import UnsupportedError


def decomposed(target: Any, leaves: Sequence[Any], tree: Any, known: Mapping[Any, Any]) -> fx.GraphModule:
    """The graph of one call of `target`. Its placeholders are the tensors among `leaves`, in their order.

    `leaves` and `tree` are the arguments, flattened by torch's pytree. Operations in `known` stay whole.
    Raises `UnsupportedError` if PyTorch has no decomposition of `target`.
    """
    from torch._decomp import core_aten_decompositions

    table: dict[Any, Any] = dict(core_aten_decompositions())
    smaller = {key: value for key, value in table.items() if key not in known}
    tensors = [
        torch.zeros(leaf.shape, dtype=getattr(torch, leaf.dtype.name))
        for leaf in leaves
        if isinstance(leaf, Value)
    ]

    def call(*given: Any) -> Any:
        rest = iter(given)
        filled = [next(rest) if isinstance(leaf, Value) else leaf for leaf in leaves]
        args, kwargs = torch.utils._pytree.tree_unflatten(filled, tree)
        return target(*args, **kwargs)

    try:
        graph = make_fx(call, smaller, tracing_mode="fake")(*tensors)
    except Exception as error:  # a decomposition may raise any type
        raise UnsupportedError("there is no TFLite operator for it") from error
    if any(node.target is target for node in graph.graph.nodes):
        raise UnsupportedError("there is no TFLite operator for it")
    return graph
