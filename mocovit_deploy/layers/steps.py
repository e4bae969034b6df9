"""How far a layer of a quantized file may be off alone: by what rounding does to it, and steps of its own.

    x - round - conv2d(round W) - y8       error[y] = max |y8 - y| + half a step + max |round(y) - y|
    allowed = steps x error[y]             relative to the range of y

A layer that is run from the original's values reads them rounded to the file's levels, as its weights are.
What that does to its result is computed here, from the levels that the file says. It differs by orders of
magnitude: values that are joined share their levels, and a channel of a depthwise convolution may be small
beside the others. What is beyond the levels is cut off, here as in the file. Only what the file rounds is
rounded: of a file with several arithmetics, a layer in float reads its weights as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, fx

from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.artifacts.marks import FileValue, Levels, split_mark
from mocovit_deploy.graph.edit import argument, returns_view
from mocovit_deploy.layers.original import Trace
from mocovit_deploy.layers.taps import Tap
from mocovit_deploy.quantization.noise import on_grid
from mocovit_deploy.quantization.scheme import weight_axis, weight_grids


def rounding_errors(
    graph: fx.GraphModule,
    trace: Trace,
    taps: Sequence[Tap],
    values: Sequence[FileValue],
    inputs: Mapping[str, Sequence[Array]],
) -> dict[str, float]:
    """By operation: what rounding may add to its value, relative to its range.

    `graph` is the one that the operations of `trace` are of, and `values` all that the file has. `inputs`
    holds the arrays of each run by the file's name for the input, in the order that the graph takes them.
    An operation whose rounded value is not finite has no entry.
    """
    levels = {tap.layer.operation: _times(tap.value.levels, 1 / tap.factor) for tap in taps}
    between = {name: one for name, one in _levels_by_operation(trace, values).items() if name not in levels}
    made = {value.name: _operations(trace, value) for value in values}
    reads = _reads(values, made, list(inputs))
    measuring = _Rounded(graph, levels, between, reads, _rounded_weights(graph, values, made))
    with torch.no_grad():
        for run, sample in enumerate(zip(*inputs.values(), strict=True)):
            measuring.given = {name: torch.from_numpy(trace.values[name][run]).double() for name in levels}
            measuring.run(*(_wide(torch.from_numpy(array)) for array in sample))
    found = {}
    for name, error in measuring.errors.items():
        span = float(np.ptp(np.stack(trace.values[name]))) if name in trace.values else 0.0
        if np.isfinite(error):
            found[name] = error / (span or 1.0)
    return found


class _Read(NamedTuple):
    """The name of an operation, or the place of an input, and the name of the operation that reads it."""

    source: str | int
    reader: str


def _operations(trace: Trace, value: FileValue) -> set[str]:
    """The operations that a value of the file is the result of."""
    output = trace.outputs.get(value.name)
    return {split_mark(mark)[1] for mark in value.marks} | ({output} if output else set())


def _reads(
    values: Sequence[FileValue], made: Mapping[str, set[str]], input_names: Sequence[str]
) -> dict[_Read, Levels | None]:
    """The levels of operands that are rounded for some of their readers."""
    places = {name: place for place, name in enumerate(input_names)}
    return {
        _Read(places[mark] if mark in places else split_mark(mark)[1], reader): read.levels
        for value in values
        for reader in made[value.name]
        for read in value.reads
        for mark in read.source
    }


def _rounded_weights(
    graph: fx.GraphModule, values: Sequence[FileValue], made: Mapping[str, set[str]]
) -> set[str]:
    """The names of the parameters that the file stores in whole numbers."""
    layers = set().union(*(made[value.name] for value in values if value.whole_weights))
    return {
        str(argument(node, "weight").target)
        for node in graph.graph.nodes
        if node.name in layers and weight_axis(node) is not None
    }


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

    Those in `between` are rounded as they are computed, those in `reads` as they are read.
    """

    def __init__(
        self,
        graph: fx.GraphModule,
        levels: Mapping[str, Levels | None],
        between: Mapping[str, Levels],
        reads: Mapping[_Read, Levels | None],
        weights: set[str],
    ) -> None:
        super().__init__(graph)
        self.levels = levels
        self.between = between
        self.reads = reads
        self.weights = {name: grid for name, grid in weight_grids(graph).items() if name in weights}
        self.places = {node: place for place, node in enumerate(graph.graph.find_nodes(op="placeholder"))}
        self.given: Mapping[str, Tensor] = {}
        self.errors: dict[str, float] = {}

    def run_node(self, n: fx.Node) -> Any:
        if n.op == "call_function":
            arguments, named = fx.map_arg((n.args, n.kwargs), lambda one: self._read(one, n))
            value = self.call_function(n.target, arguments, named)
        else:
            value = super().run_node(n)
        if n.op == "get_attr" and str(n.target) in self.weights:
            return on_grid(value, self.weights[str(n.target)])
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

    def _read(self, node: fx.Node, reader: fx.Node) -> Any:
        """The value of `node` as `reader` gets it."""
        value = self.env[node]
        if not isinstance(value, Tensor) or not value.is_floating_point():
            return value
        sources = (self.places.get(one, one.name) for one in _with_moved(node))
        read = next((one for s in sources if (one := _Read(s, reader.name)) in self.reads), None)
        return value if read is None else _rounded(value, self.reads[read] or _levels_over(value))


def _with_moved(node: fx.Node) -> Iterator[fx.Node]:
    """A node, and if it only moves data, those that it has the data of."""
    yield node
    while returns_view(node):
        node = node.all_input_nodes[0]
        yield node


def _wide(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor


def _rounded(value: Tensor, levels: Levels) -> Tensor:
    """The nearest of the levels."""
    steps = torch.round((value - levels.low) / levels.step)
    most = round((levels.high - levels.low) / levels.step)
    return levels.low + torch.clamp(steps, 0, most) * levels.step


def _levels_over(value: Tensor) -> Levels:
    """The 256 levels over the range of a value, as they are chosen at each run."""
    low, high = min(float(value.min()), 0.0), max(float(value.max()), 0.0)
    return Levels(low, high, (high - low) / 255 or 1.0)


def _times(levels: Levels | None, factor: float) -> Levels | None:
    if levels is None:
        return None
    return Levels(levels.low * factor, levels.high * factor, levels.step * factor)
