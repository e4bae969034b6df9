"""Networks written in int8, run in LiteRT."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import torch
from direct_files import Calling
from torch import Tensor, nn

from exporters.tflite.direct.write import written
from exporters.tflite.flatbuffer import model_bytes
from exporters.tflite.quantized.decide import usual
from exporters.tflite.quantized.grids import tensor_grids, wide_grids
from exporters.tflite.quantized.support import int8_support
from exporters.tflite.quantized.tables import Tables
from exporters.tflite.quantized.write import quantized
from mocovit_deploy.graph.capture import capture
from mocovit_deploy.quantization.calibration_set import CalibrationSet
from mocovit_deploy.quantization.observe import observe
from mocovit_deploy.quantization.scheme import scheme_of, with_input_means
from mocovit_deploy.spec import TensorSpec


class Int8File:
    """A module or function in int8, calibrated on its own inputs with some noise."""

    def __init__(
        self,
        network: Any,
        *inputs: Tensor,
        every: bool = False,
        correct: bool = False,
        wide: bool = False,
    ) -> None:
        """`correct` corrects biases; `every` puts all operators whose values have grids in int8, whether
        XNNPACK takes them or not; `wide` makes activations int16.
        """
        module = network if isinstance(network, nn.Module) else Calling(network)
        graph = capture(module.eval(), inputs)
        generator = np.random.default_rng(0)
        columns = {
            f"in_{i}": np.stack([x.numpy() * generator.uniform(0.8, 1.0) for _ in range(4)]).astype(
                np.float32
            )
            for i, x in enumerate(inputs)
        }
        for i, x in enumerate(inputs):
            columns[f"in_{i}"][0] = x.numpy()
        observed = observe(graph, CalibrationSet("test", columns, ""))
        self.scheme = scheme_of(graph, observed, "minmax")
        if correct:
            self.scheme = with_input_means(self.scheme, graph, observed)
        specs = [
            TensorSpec(f"in_{i}", tuple(_in_file(x).shape), "float32", "nhwc" if x.ndim == 4 else "")
            for i, x in enumerate(inputs)
        ]
        with torch.no_grad():
            self.expected = torch.utils._pytree.tree_leaves(module(*inputs))
        outputs = [TensorSpec(f"out_{i}", tuple(y.shape), "float32") for i, y in enumerate(self.expected)]
        model = written(graph, specs, outputs)
        self.tables = Tables(model)
        names = [node.name for node in graph.graph.nodes if node.op == "placeholder"]
        self.grids = tensor_grids(self.tables, self.scheme, names)
        self.chosen = usual(self.tables, self.grids)
        if every:
            self.chosen = {
                one.index
                for one in self.tables.operators
                if all(t in self.grids for t in (*self.tables.computed(one), *one.outputs))
            }
        if wide:
            kinds = {kind for kind, known in int8_support().items() if known.wide}
            self.chosen = {one.index for one in self.tables.operators if one.kind in kinds} & self.chosen
            self.grids = wide_grids(self.tables, self.grids)
        self.model = quantized(model, self.grids, self.chosen, self.scheme)
        self.data = model_bytes(self.model)
        self.inputs = {f"in_{i}": _in_file(x).numpy() for i, x in enumerate(inputs)}

    @property
    def kinds(self) -> Counter[str]:
        """How many operators of each kind the file has."""
        return Counter(one.kind for one in Tables(self.model).operators)

    def run(self) -> tuple[list[Any], int, int]:
        """Outputs, the number of XNNPACK's partitions, and of operators outside it."""
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_content=self.data, num_threads=1)
        interpreter.allocate_tensors()
        found = interpreter.get_signature_runner()(**self.inputs)
        details = interpreter._get_ops_details()
        made = {int(t) for d in details if d["op_name"] == "DELEGATE" for t in d["outputs"]}
        outside = [
            d
            for d in details
            if d["op_name"] != "DELEGATE"
            and any(int(t) in _read_outside(details) for t in d["outputs"])
            and not made.intersection(map(int, d["outputs"]))
        ]
        partitions = sum(d["op_name"] == "DELEGATE" for d in details)
        return [found[f"out_{i}"] for i in range(len(self.expected))], partitions, len(outside)

    def sqnr_db(self) -> float:
        """Of all outputs together, against PyTorch."""
        found, _, _ = self.run()
        signal = sum(float((y.numpy() ** 2).sum()) for y in self.expected)
        noise = sum(float(((y.numpy() - f) ** 2).sum()) for y, f in zip(self.expected, found, strict=True))
        return 10 * float(np.log10(signal / noise))


def _read_outside(details: list[dict[str, Any]]) -> set[int]:
    return {int(t) for d in details if d["op_name"] == "DELEGATE" for t in d["inputs"]}


def _in_file(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1).contiguous() if x.ndim == 4 else x
