"""How far a layer of a quantized file may be off alone: by what rounding does to it, and steps of its own.

    x - round - conv2d(round W) - y8       error[y] = max |y8 - y| + half a step + max |round(y) - y|
    allowed = steps x error[y]             relative to the range of y

A layer that is run from the original's values reads them rounded to the file's levels, as its weights are.
What that does to its result is computed here, from the levels that the file says. It differs by orders of
magnitude: values that are joined share their levels, and a channel of a depthwise convolution may be small
beside the others. What is beyond the levels is cut off, here as in the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.artifacts.marks import FileValue, Levels, split_mark
from mocovit_deploy.layers.original import Trace
from mocovit_deploy.layers.taps import Tap
from mocovit_deploy.quantization.noise import on_grid
from mocovit_deploy.quantization.scheme import weight_grids


def rounding_errors(
    graph: fx.GraphModule,
    trace: Trace,
    taps: Sequence[Tap],
    values: Sequence[FileValue],
    samples: Sequence[Sequence[Array]],
) -> dict[str, float]:
    """By operation: what rounding may add to its value, relative to its range.

    `graph` is the one that the operations of `trace` are of, `values` all that the file has, and `samples`
    the inputs of each run in the order that the graph takes them.
    """
    levels = {tap.layer.operation: _times(tap.value.levels, 1 / tap.factor) for tap in taps}
    between = {name: one for name, one in _levels_by_operation(trace, values).items() if name not in levels}
    of_inputs = [one.levels for one in values if not one.marks and one.levels is not None]
    measuring = _Rounded(graph, levels, between, of_inputs)
    with torch.no_grad():
        for run, sample in enumerate(samples):
            measuring.given = {name: torch.from_numpy(trace.values[name][run]).double() for name in levels}
            measuring.run(*(_wide(torch.from_numpy(array)) for array in sample))
    found = {}
    for name, error in measuring.errors.items():
        span = float(np.ptp(np.stack(trace.values[name]))) if name in trace.values else 0.0
        found[name] = error / (span or 1.0)
    return found


def _levels_by_operation(trace: Trace, values: Sequence[FileValue]) -> dict[str, Levels]:
    """The levels of the last operation that a value of the file is marked with, if all such values agree."""
    place = {layer.operation: number for number, layer in enumerate(trace.layers)}
    found: dict[str, list[Levels | None]] = {}
    for value in values:
        known = [name for mark in value.marks if (name := split_mark(mark)[1]) in place]
        if known:
            found.setdefault(max(known, key=place.__getitem__), []).append(value.levels)
    return {name: one for name, (one, *more) in found.items() if one is not None and set(more) <= {one}}


class _Rounded(fx.Interpreter):
    """Runs a graph of which the values in `levels` are the original's, rounded, to whatever reads them.

    Those in `between` are rounded as they are computed.
    """

    def __init__(
        self,
        graph: fx.GraphModule,
        levels: Mapping[str, Levels | None],
        between: Mapping[str, Levels],
        of_inputs: Sequence[Levels],
    ) -> None:
        super().__init__(graph)
        self.levels = levels
        self.between = between
        self.of_inputs = of_inputs
        self.weights = weight_grids(graph)
        self.given: Mapping[str, Tensor] = {}
        self.errors: dict[str, float] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if n.op == "get_attr" and str(n.target) in self.weights:
            return on_grid(value, self.weights[str(n.target)])
        if n.op == "placeholder" and len(self.of_inputs) == 1 and value.is_floating_point():
            return _rounded(value, self.of_inputs[0])
        if n.name in self.between and isinstance(value, Tensor) and value.is_floating_point():
            return _rounded(value, self.between[n.name])
        if n.name not in self.given:
            return value
        wanted = self.given[n.name]
        error = float((value - wanted).abs().max()) if value.shape == wanted.shape and value.numel() else 0.0
        levels = self.levels[n.name]
        held = wanted if levels is None else _rounded(wanted, levels)
        own = 0.0 if levels is None else levels.step / 2 + float((held - wanted).abs().max())
        self.errors[n.name] = max(self.errors.get(n.name, 0.0), error + own)
        return held


def _wide(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor


def _rounded(value: Tensor, levels: Levels) -> Tensor:
    """The nearest of the levels."""
    steps = torch.round((value - levels.low) / levels.step)
    most = round((levels.high - levels.low) / levels.step)
    return levels.low + torch.clamp(steps, 0, most) * levels.step


def _times(levels: Levels | None, factor: float) -> Levels | None:
    if levels is None:
        return None
    return Levels(levels.low * factor, levels.high * factor, levels.step * factor)
