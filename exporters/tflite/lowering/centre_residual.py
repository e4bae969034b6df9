"""Remove the mean from a residual stream that only LayerNorms read, as they would subtract it anyway.

    before   Linear(W, b) -+- ... + ... - x - LayerNorm (x - mean) / sqrt(var + eps)
             Linear(V, c) -+
    after    Linear(W - mean(W), b - mean(b)) -+- ... + ... - x - x / sqrt(mean(x^2) + eps)
             Linear(V - mean(V), c - mean(c)) -+

The means are over output channels. A sum of values with mean zero has mean zero, so every LayerNorm that
reads the stream becomes an RMSNorm.

Shapes    W, V (C, Cin); b, c (C,); x (..., C). A 1x1 convolution may write to the stream too, if reshapes and
          transposes bring its channels to the axis of the LayerNorm
Refuses   a stream with any other writer (a position embedding, an input) or any other reader
Exact     yes (float64)
Source    arXiv:2305.14858, section 3 (Pre-RMSNorm)
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, fx

from exporters.tflite.lowering.axes import MOVES, moved, positions
from mocovit_deploy.graph.edit import (
    argument,
    aten,
    cleanup,
    count_calls,
    module_path,
    nodes_calling,
    shape_of,
    share_graph,
)
from mocovit_deploy.graph.insert import (
    insert_call,
    is_linear,
    is_pointwise,
    layer_weights,
    supplant,
    with_weights,
)
from mocovit_deploy.passes.result import Change, PassResult

NORM = aten.layer_norm.default
SUM = aten.add.Tensor


def centre_residual(graph: fx.GraphModule) -> PassResult:
    """Return a new graph with an RMSNorm for each LayerNorm of such a stream."""
    if not count_calls(graph, NORM):
        return PassResult(graph)
    graph = share_graph(graph)
    changes = []
    while (
        stream := next(filter(None, (_stream(graph, n) for n in nodes_calling(graph, NORM))), None)
    ) is not None:
        for writer in stream.writers:
            _centre(graph, writer)
        for norm in stream.norms:
            _without_mean(norm)
        first = module_path(stream.norms[0])
        changes.append(Change(first, f"{len(stream.norms)} LayerNorms of one stream without their mean"))
    return PassResult(cleanup(graph), tuple(changes))


@dataclass
class _Stream:
    """Values that are added to each other, the layers that make them and the LayerNorms that read them."""

    values: set[fx.Node] = field(default_factory=set)
    writers: list[fx.Node] = field(default_factory=list)
    norms: list[fx.Node] = field(default_factory=list)


def _stream(graph: fx.GraphModule, norm: fx.Node) -> _Stream | None:
    """The stream that `norm` reads; None if the mean cannot be removed from it."""
    stream, todo = _Stream(), [norm.args[0]]
    while todo:
        node = todo.pop()
        if not isinstance(node, fx.Node) or node.op != "call_function":
            return None
        if node in stream.values:
            continue
        stream.values.add(node)
        if is_linear(graph, node) or is_pointwise(graph, node):
            stream.writers.append(node)
        elif _is_sum(node) or node.target in MOVES:
            todo += [one for one in node.args[:2] if isinstance(one, fx.Node)]
        else:
            return None
        for reader in node.users:
            if reader.target is NORM and len(argument(reader, "normalized_shape")) == 1:
                stream.norms.append(reader)
            elif _is_sum(reader) or reader.target in MOVES:
                todo.append(reader)
            else:
                return None
    order = {node: place for place, node in enumerate(graph.graph.nodes)}
    stream.norms.sort(key=order.__getitem__)
    return stream if _keeps_channels(stream, order) else None


def _is_sum(node: fx.Node) -> bool:
    plain = node.target is SUM and argument(node, "alpha") == 1
    return plain and all(isinstance(one, fx.Node) for one in node.args[:2])


def _keeps_channels(stream: _Stream, order: dict[fx.Node, int]) -> bool:
    """True if the axis of every LayerNorm holds the output channels of every writer."""
    channels: dict[fx.Node, Tensor] = {}
    for node in sorted(stream.values, key=order.__getitem__):
        if node in stream.writers:
            channels[node] = positions(
                shape_of(node), 1 if len(shape_of(node)) == 4 and _is_conv(node) else -1
            )
        elif node.target in MOVES:
            channels[node] = moved(node, channels[node.args[0]])  # type: ignore[index]
        else:
            first, second = (channels[one] for one in node.args[:2])  # type: ignore[index]
            if not torch.equal(first, second):
                return False
            channels[node] = first
    read = [channels[norm.args[0]] for norm in stream.norms]  # type: ignore[index]
    return all(torch.equal(one, positions(tuple(one.shape), -1)) for one in read)


def _is_conv(node: fx.Node) -> bool:
    return node.target is aten.conv2d.default


def _centre(graph: fx.GraphModule, writer: fx.Node) -> None:
    found = layer_weights(graph, writer)
    assert found is not None
    centred = [(one.double() - one.double().mean(0, keepdim=True)).to(one.dtype) for one in found]
    with_weights(graph, writer, *centred)


def _without_mean(norm: fx.Node) -> None:
    shape, weight, bias, eps = (argument(norm, n) for n in ("normalized_shape", "weight", "bias", "eps"))
    y = insert_call(norm, aten.rms_norm.default, (norm.args[0], shape, weight, eps), norm)
    if bias is not None:
        y = insert_call(norm, SUM, (y, bias), norm)
    supplant(norm, y)
