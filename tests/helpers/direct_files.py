"""Networks written directly, run in LiteRT and compared with PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from exporters.tflite.direct.write import written
from exporters.tflite.flatbuffer import model_bytes
from mocovit_deploy.graph.capture import capture
from mocovit_deploy.spec import TensorSpec


class Calling(nn.Module):
    """A module of any function of tensors; modules it needs are given by name."""

    def __init__(self, function: Any, **modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(self, *inputs) if self._modules else self.function(*inputs)


def agree(
    network: Any,
    *inputs: Tensor,
    error: float = 3e-6,
    nchw: bool = False,
    outside: Sequence[str] = (),
    **how: Any,
) -> list[str]:
    """Write `network`, a module or a function, directly; its operators.

    Fails where LiteRT's outputs differ from PyTorch's by more than `error` of their range, or where XNNPACK
    leaves operators of other kinds than `outside` to TFLite.
    """
    module = network if isinstance(network, nn.Module) else Calling(network)
    graph = capture(module.eval(), inputs)
    with torch.no_grad():
        results = torch.utils._pytree.tree_leaves(module(*inputs))
    specs = [
        TensorSpec(
            f"in_{i}",
            tuple(_in_file(x, nchw).shape),
            str(x.dtype).removeprefix("torch."),
            "nhwc" if x.ndim == 4 and not nchw else "",
        )
        for i, x in enumerate(inputs)
    ]
    outputs = [TensorSpec(f"out_{i}", tuple(y.shape), "float32") for i, y in enumerate(results)]
    data = model_bytes(written(graph, specs, outputs, **how))
    found, operators = run(data, {f"in_{i}": _in_file(x, nchw).numpy() for i, x in enumerate(inputs)})
    for i, result in enumerate(results):
        expected, got = result.numpy(), found[f"out_{i}"]
        assert got.shape == expected.shape, (got.shape, expected.shape)
        assert got.dtype == expected.dtype
        if expected.dtype.kind == "f":
            spread = float(np.ptp(expected)) or float(np.abs(expected).max()) or 1.0
            assert np.isfinite(got).all()
            assert np.abs(got - expected).max() <= error * max(spread, float(np.abs(expected).max())), (
                operators
            )
        else:
            assert np.array_equal(got, expected)
    left = {kind for kind, taken in operators if not taken} - set(outside)
    assert not left, f"XNNPACK leaves {sorted(left)}"
    return [kind for kind, _ in operators]


def run(data: bytes, inputs: dict[str, Any]) -> tuple[dict[str, Any], list[tuple[str, bool]]]:
    """Outputs of a file by name, and its operators with whether XNNPACK took them."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    outputs = interpreter.get_signature_runner()(**inputs)
    details = interpreter._get_ops_details()
    # The plan runs DELEGATE operators in place of those they took, which stay listed before it.
    delegated = _taken(interpreter, details)
    return outputs, [(d["op_name"], d["index"] in delegated) for d in details if d["op_name"] != "DELEGATE"]


def _taken(interpreter: Any, details: list[dict[str, Any]]) -> set[int]:
    """The operators whose outputs a DELEGATE makes, or that only lead to such."""
    made = {int(t) for d in details if d["op_name"] == "DELEGATE" for t in d["outputs"]}
    read = {int(t) for d in details if d["op_name"] == "DELEGATE" for t in d["inputs"]}
    taken: set[int] = set()
    ordinary = [d for d in details if d["op_name"] != "DELEGATE"]
    for d in reversed(ordinary):
        outputs = {int(t) for t in d["outputs"]}
        users = [e for e in ordinary if outputs & {int(t) for t in e["inputs"]}]
        if outputs & made or (users and all(e["index"] in taken for e in users) and not outputs & read):
            taken.add(d["index"])
    return taken


def _in_file(x: Tensor, nchw: bool) -> Tensor:
    return x.permute(0, 2, 3, 1).contiguous() if x.ndim == 4 and not nchw else x
