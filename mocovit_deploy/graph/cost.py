"""Parameters, multiply-accumulates and activation bytes, layer by layer.

Papers differ in what they count, so there are two columns: `macs` of convolutions and linear layers only
(published for GhostNet, MoCoViT and MobileNetV3), and `attention_macs` of products between two computed
tensors (added for EfficientViT and MobileViT). Bias, BatchNorm, activations and pooling are not counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from torch import Tensor, fx, nn

from mocovit_deploy.artifacts.operator import ROOT_MODULE
from mocovit_deploy.graph.edit import (
    BATCH_NORMS,
    CONVOLUTIONS,
    LINEARS,
    TRANSPOSED_CONVOLUTIONS,
    argument,
    aten,
    constant_tensor,
    module_path,
    returns_view,
    shape_of,
)
from mocovit_deploy.graph.wrapper import unwrapped
from mocovit_deploy.terminal.table import table

MATRIX_PRODUCTS = (aten.matmul.default, aten.bmm.default, aten.mm.default)
ATTENTION = (aten.scaled_dot_product_attention.default,)


@dataclass(frozen=True)
class LayerCost:
    """The cost of one layer, which is a row of the table, for one run of the captured batch."""

    layer: str
    output_shape: tuple[int, ...]
    parameters: int
    macs: int
    attention_macs: int
    activation_bytes: int
    """Bytes that its operations write, without views and BatchNorm (which is folded)."""


@dataclass(frozen=True)
class CostSummary:
    """All layers of a network; `total` is their sum, and covers every parameter of the module."""

    layers: tuple[LayerCost, ...]

    @property
    def total(self) -> LayerCost:
        """The sum of all layers, with the shape of the last layer's output."""
        sums = {
            name: sum(getattr(layer, name) for layer in self.layers)
            for name in ("parameters", "macs", "attention_macs", "activation_bytes")
        }
        return LayerCost("total", self.layers[-1].output_shape, **sums)

    def as_json(self) -> dict[str, Any]:
        """Plain data: `layers`, a list, and `total`."""

        def plain(layer: LayerCost) -> dict[str, Any]:
            return {f.name: getattr(layer, f.name) for f in fields(layer)}

        return {"layers": [plain(layer) for layer in self.layers], "total": plain(self.total)}


def summarize(module: nn.Module, graph: fx.GraphModule) -> CostSummary:
    """Count `module`, whose captured, unfolded graph is `graph` (static shapes).

    Layers are the children of the network. A container of compound modules, such as a list of blocks, is
    divided into its own children.
    """
    module = unwrapped(module)
    paths = _layer_paths(module)
    nodes: dict[str, list[fx.Node]] = {path: [] for path in paths}
    for node in graph.graph.nodes:
        if node.op == "call_function" and isinstance(node.meta.get("val"), Tensor):
            nodes.setdefault(_owner(module_path(node), paths), []).append(node)
    parameters = dict.fromkeys(nodes, 0)
    for name, parameter in module.named_parameters():
        owner = _owner(name, paths)
        parameters[owner] = parameters.get(owner, 0) + parameter.numel()
    return CostSummary(
        tuple(_cost(graph, path, nodes.get(path, []), count) for path, count in parameters.items())
    )


def _layer_paths(module: nn.Module) -> list[str]:
    paths = []
    for name, child in module.named_children():
        grandchildren = list(child.named_children())
        compound = any(list(grandchild.children()) for _, grandchild in grandchildren)
        if isinstance(child, nn.Sequential | nn.ModuleList) and compound:
            paths += [f"{name}.{inner}" for inner, _ in grandchildren]
        else:
            paths.append(name)
    return paths


def _owner(path: str, layers: list[str]) -> str:
    return next((layer for layer in layers if path == layer or path.startswith(f"{layer}.")), ROOT_MODULE)


def _cost(graph: fx.GraphModule, layer: str, nodes: list[fx.Node], parameters: int) -> LayerCost:
    counted = [macs_of(graph, node) for node in nodes]
    written = [node for node in nodes if node.target not in BATCH_NORMS and not returns_view(node)]
    return LayerCost(
        layer=layer,
        output_shape=shape_of(nodes[-1]) if nodes else (),
        parameters=parameters,
        macs=sum(one.weights for one in counted),
        attention_macs=sum(one.products for one in counted),
        activation_bytes=sum(node.meta["val"].nbytes for node in written),
    )


class Macs(NamedTuple):
    """Multiply-accumulates of one operation."""

    weights: int = 0
    """Products with stored weights."""
    products: int = 0
    """Products between computed tensors, as in attention."""


def macs_of(graph: fx.GraphModule, node: fx.Node) -> Macs:
    """Multiply-accumulates of `node`.

    0 for operations other than convolutions, linear layers, matrix products and attention.
    """
    if node.target in CONVOLUTIONS:
        weight = shape_of(argument(node, "weight"))  # (Cout, Cin / groups, kH, kW)
        return Macs(weights=math.prod(shape_of(node)) * math.prod(weight[1:]))
    if node.target in TRANSPOSED_CONVOLUTIONS:
        weight = shape_of(argument(node, "weight"))  # (Cin, Cout / groups, kH, kW)
        return Macs(weights=math.prod(shape_of(argument(node, "input"))) * math.prod(weight[1:]))
    if node.target in LINEARS:
        return Macs(weights=math.prod(shape_of(node)) * shape_of(argument(node, "input"))[-1])
    if node.target in MATRIX_PRODUCTS:
        left, right = node.args[:2]
        assert isinstance(left, fx.Node)
        macs = math.prod(shape_of(node)) * shape_of(left)[-1]
        stored = constant_tensor(graph, left) is not None or constant_tensor(graph, right) is not None
        return Macs(weights=macs) if stored else Macs(products=macs)
    if node.target in ATTENTION:
        query, key, value = (shape_of(argument(node, name)) for name in ("query", "key", "value"))
        scores = math.prod(query[:-1]) * key[-2]
        return Macs(products=scores * (query[-1] + value[-1]))
    return Macs()


def cost_text(summary: CostSummary) -> str:
    """The table that `mocovit-export --summary` prints."""
    header = ("layer", "output", "parameters", "MACs", "attention MACs", "activation bytes")
    rows = [
        (
            layer.layer,
            "x".join(map(str, layer.output_shape)),
            f"{layer.parameters:,}",
            f"{layer.macs:,}",
            f"{layer.attention_macs:,}",
            f"{layer.activation_bytes:,}",
        )
        for layer in (*summary.layers, summary.total)
    ]
    total = summary.total
    both = total.macs + total.attention_macs
    return (
        table(header, rows) + f"\n\nMACs of convolutions and linear layers: {total.macs:,}"
        f"\nMACs with attention products:            {both:,}"
    )
