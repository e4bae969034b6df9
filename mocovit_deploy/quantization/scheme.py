"""The scheme: a grid for every value and every weight of a graph. Formats write quantized files by it.

    conv2d - relu - cat ---- add          both relu and cat share one grid, as no runtime rescales a concat
                   /
    conv2d - relu -

Values that are only moved, cut out or joined have the grid of their sources (`RANGE_KEEPING`). Sigmoid, tanh
and softmax have the grids that runtimes fix (`FIXED`). A value that only a hard-swish reads needs no numbers
below -3, for which the result is 0 (`SATURATING`). The format decides which operators are then quantized,
because that depends on its runtime.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import fx

from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.graph.edit import (
    CONVOLUTIONS,
    LINEARS,
    TRANSPOSED_CONVOLUTIONS,
    argument,
    argument_or,
    aten,
    constant_tensor,
    returns_view,
)
from mocovit_deploy.quantization.calibration_set import CalibrationSet
from mocovit_deploy.quantization.grid import Grid, activation_grid, weight_grid
from mocovit_deploy.quantization.observe import Observed
from mocovit_deploy.quantization.ranges import RULES, Range

RANGE_KEEPING = (
    aten.cat.default,
    aten.concat.default,
    aten.concatenate.default,
    aten.stack.default,
    aten.reshape.default,
    aten.view.default,
    aten.flatten.using_ints,
    aten.permute.default,
    aten.transpose.int,
    aten.contiguous.default,
    aten.clone.default,
    aten.chunk.default,
    aten.split.Tensor,
    aten.split.sizes,
    aten.split_with_sizes.default,
    aten.unbind.int,
    aten.slice.Tensor,
    aten.select.int,
    aten.narrow.default,
    aten.max_pool2d.default,
    aten.pixel_shuffle.default,
    aten.channel_shuffle.default,
    aten.upsample_bilinear2d.default,
    aten.upsample_bilinear2d.vec,
    aten.amax.default,
    aten.amin.default,
    aten.constant_pad_nd.default,
    aten.pad.default,
    aten.repeat.default,
    aten.dropout.default,
)
"""Operations whose result has the range of their inputs. Padding adds zeros, which every range contains."""

FIXED: Mapping[object, Range] = {
    aten.sigmoid.default: (0.0, 255 / 256),
    aten.softmax.int: (0.0, 255 / 256),
    aten._softmax.default: (0.0, 255 / 256),
    aten.tanh.default: (-1.0, 127 / 128),
}
"""The ranges of results whose grid TFLite fixes: a scale of 1/256 from 0, or of 1/128 around 0."""

SATURATING: Mapping[object, Range] = {
    aten.hardswish.default: (-3.0, float("inf")),
    aten.hardsigmoid.default: (-3.0, 3.0),
    aten.relu.default: (0.0, float("inf")),
    aten.relu6.default: (0.0, 6.0),
}
"""Operations whose result is the same for all inputs beyond these bounds."""


@dataclass(frozen=True)
class Scheme:
    """How a graph is quantized."""

    rule: str
    """How ranges were chosen, one of `ranges.RULES`."""
    values: Mapping[str, Grid]
    """By node name. A value without finite observations has none."""
    weights: Mapping[str, Grid]
    """By the name of the parameter, along its axis of output channels in PyTorch."""
    input_means: Mapping[str, Array] = field(default_factory=dict)
    """For bias correction, the mean of each channel (C,) that a layer reads, by the name of its weights."""
    calibration: CalibrationSet | None = None
    """The inputs that the ranges of `values` were observed on; None if no value has a range."""

    def as_json(self) -> dict[str, object]:
        """Its record in the manifest."""
        if self.calibration is None:
            return {}
        return {
            "calibration": self.calibration.as_json(),
            "ranges": self.rule,
            "bias_correction": bool(self.input_means),
        }


def weights_scheme(graph: fx.GraphModule) -> Scheme:
    """The scheme of a graph of which only the weights are quantized."""
    return Scheme("", {}, weight_grids(graph))


def scheme_of(
    graph: fx.GraphModule,
    observed: Mapping[str, Observed],
    rule: str,
    calibration: CalibrationSet | None = None,
) -> Scheme:
    """The scheme of a graph from the statistics of its values; `rule` is one of `ranges.RULES`."""
    ranges = {name: RULES[rule](one) for name, one in observed.items()}
    values: dict[str, Grid] = {}
    for nodes in shared_ranges(graph):
        fixed = next((FIXED[node.target] for node in nodes if node.target in FIXED), None)
        found = [_needed(node, ranges[node.name]) for node in nodes if node.name in ranges]
        if not found:
            continue
        bounds = fixed or (min(low for low, _ in found), max(high for _, high in found))
        if abs(bounds[0]) + abs(bounds[1]) < float("inf"):
            values |= {node.name: activation_grid(bounds) for node in nodes}
    return Scheme(rule, values, weight_grids(graph), calibration=calibration)


def with_input_means(scheme: Scheme, graph: fx.GraphModule, observed: Mapping[str, Observed]) -> Scheme:
    """The scheme with the means of the channels that layers read, which bias correction needs.

    Weights that several layers share are left out, because each layer would need a bias of its own.
    """
    means: dict[str, Array] = {}
    shared: set[str] = set()
    for node in graph.graph.nodes:
        if weight_axis(node) is None or str(argument(node, "weight").target) not in scheme.weights:
            continue
        name, seen = str(argument(node, "weight").target), observed.get(argument(node, "input").name)
        if name in means:
            shared.add(name)
        if seen is not None and seen.channel_means is not None:
            means[name] = seen.channel_means
    return replace(scheme, input_means={name: one for name, one in means.items() if name not in shared})


def weight_grids(graph: fx.GraphModule) -> dict[str, Grid]:
    """The grid of every layer's stored weights, by the name of the parameter."""
    grids = {}
    for node in graph.graph.nodes:
        axis = weight_axis(node)
        if axis is None:
            continue
        parameter = argument(node, "weight")
        weights = constant_tensor(graph, parameter)
        if weights is not None:
            grids[str(parameter.target)] = weight_grid(numbers_of(weights), axis)
    return grids


def weight_axis(node: fx.Node) -> int | None:
    """The axis of the output channels in the weights of a layer; None for any other node."""
    if node.target in CONVOLUTIONS:
        return 1 if node.target is aten.convolution.default and argument(node, "transposed") else 0
    if node.target in LINEARS:
        return 0
    return 1 if node.target in TRANSPOSED_CONVOLUTIONS else None


def numbers_of(tensor: torch.Tensor) -> Array:
    """The numbers of a parameter, float32."""
    array: Array = tensor.detach().float().cpu().numpy()
    return array


def shared_ranges(graph: fx.GraphModule) -> list[list[fx.Node]]:
    """The values of a graph in groups with one range; most groups hold one value.

    A value with a fixed grid is not joined with others, which would be clipped.
    """
    group: dict[fx.Node, list[fx.Node]] = {}
    for node in graph.graph.nodes:
        if node.op not in ("placeholder", "call_function"):
            continue
        mine = [node]
        sources = [group[one] for one in node.all_input_nodes if one in group] if _keeps_range(node) else []
        joins = len(sources) > 1
        for theirs in sources:
            if theirs is not mine and not (joins and any(one.target in FIXED for one in theirs)):
                theirs.extend(mine)
                for one in mine:
                    group[one] = theirs
                mine = theirs
        for one in mine:
            group[one] = mine
    return list({id(nodes): nodes for nodes in group.values()}.values())


def _keeps_range(node: fx.Node) -> bool:
    if node.target is aten.pad.default or node.target is aten.constant_pad_nd.default:
        value = argument(node, "value")
        return not value and argument_or(node, "mode", "constant") == "constant"
    taken_out = node.op == "call_function" and getattr(node.target, "__name__", "") == "getitem"
    return taken_out or node.target in RANGE_KEEPING or returns_view(node)


def _needed(node: fx.Node, bounds: Range) -> Range:
    """The part of a range in which some reader's result still changes."""
    readers = list(node.users)
    limits = [SATURATING.get(reader.target, (-float("inf"), float("inf"))) for reader in readers]
    if not limits:
        return bounds
    low, high = min(one[0] for one in limits), max(one[1] for one in limits)
    return max(bounds[0], min(low, 0.0)), min(bounds[1], max(high, 0.0))
