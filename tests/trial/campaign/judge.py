"""An own opinion on files: own runtime sessions, own inputs, and the network in float64.

Of the product only the numpy reader of Core ML files is used, because nothing else runs them here. The
manifest beside a file is read as plain JSON.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

TOLERANCES = {"fp32": 1e-5, "fp16": 1e-2, "fp16_weights": 1e-2}
"""Of an output's range, by recipe."""
COREML_HALF = 5e-3
"""The same for fp16 in Core ML, whose reference rounds every value."""
ROUNDING = 10.0
"""A file may be this many times as far from float64 as torch's own float32, where that is more."""
SLACK = 3.0
"""Fresh inputs may show this many times the tolerance before a file that passed counts as wrong."""


@dataclass(frozen=True)
class Judgement:
    """How far a file, and torch itself in float32, are from the network in float64, of its range."""

    output: str
    error: float
    torch_error: float

    def bound(self, recipe: str, form: str = "") -> float:
        tolerance = COREML_HALF if (form, recipe) == ("coreml", "fp16") else TOLERANCES[recipe]
        return max(tolerance, ROUNDING * self.torch_error)


class InFloat64(TorchFunctionMode):
    """What a network says of float32 in its forward is taken as float64."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        def widened(value: Any) -> Any:
            return torch.float64 if value in (torch.float32, torch.bfloat16) else value

        if func in (Tensor.float, Tensor.bfloat16):
            func = Tensor.double
        is_dtype = lambda value: isinstance(value, torch.dtype)  # noqa: E731
        args, kwargs = (
            pytree.tree_map(lambda v: widened(v) if is_dtype(v) else v, one) for one in (args, kwargs or {})
        )
        return func(*args, **kwargs)


def in_float64(network: nn.Module, runs: Sequence[tuple[Any, ...]]) -> list[list[np.ndarray]]:
    """The network's outputs in float64, one list for each run. The network is not changed."""
    wide = copy.deepcopy(network).double()
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad(), InFloat64():
            return [_leaves(wide(*pytree.tree_map(_wide, run))) for run in runs]
    finally:
        torch.set_default_dtype(before)


def in_float32(network: nn.Module, runs: Sequence[tuple[Any, ...]]) -> list[list[np.ndarray]]:
    with torch.no_grad():
        return [_leaves(network(*pytree.tree_map(lambda one: one.clone(), run))) for run in runs]


def _wide(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor


def _leaves(result: Any) -> list[np.ndarray]:
    leaves = pytree.tree_leaves(result)
    return [(leaf.float() if leaf.dtype == torch.bfloat16 else leaf).numpy() for leaf in leaves]


def judge_file(
    path: Path, network: nn.Module, *groups: Sequence[tuple[Any, ...]]
) -> list[list[dict[str, Any]]]:
    """For each group of runs, one `Judgement` for each output of the file at `path`, as plain data.

    Ranges are those of all groups: three random inputs may give one number almost the same value.
    """
    manifest = json.loads(path.with_name(path.name + ".json").read_text())
    runs = [run for group in groups for run in group]
    wide, narrow = in_float64(network, runs), in_float32(network, runs)
    predict = RUNTIMES[manifest["format"]](path)
    names = [one["name"] for one in manifest["outputs"]]
    found = []
    for run in runs:
        given = {
            spec["name"]: _in_layout(leaf.numpy(), spec["layout"])
            for spec, leaf in zip(manifest["inputs"], pytree.tree_leaves(run), strict=True)
        }
        result = predict(given)
        found.append([np.asarray(result[name]) for name in names])
    judged, start = [], 0
    for group in groups:
        rows = slice(start, start := start + len(group))
        judged.append([asdict(_judgement(n, i, rows, wide, found, narrow)) for i, n in enumerate(names)])
    return judged


Outputs = Sequence[Sequence[np.ndarray]]
"""Of each run, each output."""


def _judgement(name: str, i: int, rows: slice, wide: Outputs, found: Outputs, narrow: Outputs) -> Judgement:
    exact = [row[i] for row in wide]
    spread = span(np.stack(exact))
    errors = [_error([row[i] for row in side[rows]], exact[rows], spread) for side in (found, narrow)]
    return Judgement(name, *errors)


def _in_layout(array: np.ndarray, layout: str) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(array, -3, -1)) if layout == "nhwc" else array


def _error(found: list[np.ndarray], expected: list[np.ndarray], spread: float) -> float:
    """The largest difference over `spread`; of whole numbers the share that differs. NaN is infinite."""
    if any(a.shape != b.shape for a, b in zip(found, expected, strict=True)):
        return float("inf")
    if expected[0].dtype.kind in "iub":
        return float(np.mean([np.mean(a != b) for a, b in zip(found, expected, strict=True)]))
    worst = max(float(np.abs(a.astype(np.float64) - b).max()) for a, b in zip(found, expected, strict=True))
    return worst / spread if np.isfinite(worst) else float("inf")


def span(values: np.ndarray) -> float:
    """What an error is relative to: the largest value less the smallest, as docs and tolerances have it."""
    wide = values.astype(np.float64)
    return float(wide.max() - wide.min()) or float(np.abs(wide).max()) or 1.0


Predict = Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]


def _onnxruntime(path: Path) -> Predict:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    kinds = {one.name: one.type for one in session.get_inputs()}
    types = {
        "tensor(float)": np.float32,
        "tensor(int64)": np.int64,
        "tensor(int32)": np.int32,
        "tensor(uint8)": np.uint8,
        "tensor(bool)": np.bool_,
        "tensor(float16)": np.float16,
    }

    def predict(given: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        fed = {name: array.astype(types[kinds[name]]) for name, array in given.items()}
        names = [one.name for one in session.get_outputs()]
        return dict(zip(names, session.run(None, fed), strict=True))

    return predict


def _litert(path: Path) -> Predict:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    run = interpreter.get_signature_runner()
    details = run.get_input_details()

    def predict(given: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        return run(**{name: array.astype(details[name]["dtype"]) for name, array in given.items()})  # type: ignore[no-any-return]

    return predict


def _numpy_reader(path: Path) -> Predict:
    from exporters.coreml.execute import execute
    from exporters.coreml.read import read_program

    program = read_program(path)

    def predict(given: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        return execute(program, given, program.arithmetic)

    return predict


RUNTIMES: dict[str, Callable[[Path], Predict]] = {
    "onnx": _onnxruntime,
    "tflite": _litert,
    "coreml": _numpy_reader,
}
