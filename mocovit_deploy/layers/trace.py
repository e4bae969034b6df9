"""Run the original network layer by layer, and find which of its layers files can have.

    captured graph            conv2d - batch_norm - relu   computes the values that files are compared with
    re-parameterized graph    conv2d ------------ - relu   files are made from it and carry its marks

Operations of the two graphs are matched by value, in float64 on random inputs: two operations match if their
outputs are equal (rounding is 1e-14 there), or if one is a constant factor of the other, as between a folded
scale and its former place. So the folded conv2d matches the captured batch_norm, and passes need not track
provenance.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, fx

from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.graph.edit import argument, in_double, module_path, returns_view, shape_of, visit
from mocovit_deploy.layers.original import Layer, Missing, Trace
from mocovit_deploy.models.load import Network
from mocovit_deploy.passes.result import Change
from mocovit_deploy.passes.run import Pass, random_like, standard_passes

EQUAL = 1e-9
"""Two values are equal if their projections differ by less than this, relative to their norm."""
PROJECTIONS = 3
"""How many random projections of a value are compared."""


def trace(
    network: Network,
    captured: fx.GraphModule,
    samples: Sequence[Mapping[str, Array]],
    without: Sequence[str] = (),
    lowerings: Sequence[Pass] = (),
) -> Trace:
    """Run the original network on `samples` (one run each), and keep the value of every layer.

    `captured` is the graph of the network before the passes; `without` names passes that were left out of the
    export; `lowerings` are the rewrites that the file's format made after the passes. Raises
    `ConversionError` if a pass fails.
    """
    example = network.inputs.for_capture(0, free_batch=False)
    wide = in_double(captured)
    graph, changes = _passed(wide, [*standard_passes(without), *lowerings])
    inputs = random_like(example, seed=0)
    before, after = _fingerprints(wide, inputs), _fingerprints(graph, inputs)
    matches = _matches(before, after)
    layers = _layers(captured, graph, matches)
    wanted = {one.captured for one in matches.values()}
    runs = [
        _run(captured, [torch.from_numpy(sample[name]) for name in network.input_names], wanted)
        for sample in samples
    ]
    values = {
        new: tuple(_scaled(run[one.captured], one.factor) for run in runs) for new, one in matches.items()
    }
    outputs = dict(zip(network.output_names, _output_names(graph), strict=True))
    kept = {old for old, one in before.items() if any(one.factor_of(other) for other in after.values())}
    lost = _rounding(wide, network, samples, runs)
    rounding = {new: lost[one.captured] for new, one in matches.items()}
    return Trace(layers, values, _missing(captured, kept, changes), outputs, rounding)


def graph_after(
    captured: fx.GraphModule, without: Sequence[str] = (), lowerings: Sequence[Pass] = ()
) -> fx.GraphModule:
    """The graph that the operations of a trace are of, in float64."""
    return _passed(in_double(captured), [*standard_passes(without), *lowerings])[0]


def _rounding(
    wide: fx.GraphModule,
    network: Network,
    samples: Sequence[Mapping[str, Array]],
    runs: Sequence[Mapping[str, Array]],
) -> dict[str, float]:
    """By operation, the largest difference of `runs`, in float32, to float64, relative to its range."""
    largest: dict[str, float] = {}
    for sample, run in zip(samples, runs, strict=True):

        def error(node: fx.Node, value: Tensor, run: Mapping[str, Array] = run) -> float | None:
            found = run.get(node.name)
            return None if found is None else float(np.abs(value.numpy() - found).max(initial=0.0))

        tensors = [torch.from_numpy(sample[name]) for name in network.input_names]
        inputs = [one.double() if one.is_floating_point() else one for one in tensors]
        for name, off in visit(wide, inputs, error).items():
            if off is not None:
                largest[name] = max(largest.get(name, 0.0), off)
    spans = {name: np.stack([run[name] for run in runs]) for name in largest}
    return {name: off / float(np.ptp(spans[name]) or 1.0) for name, off in largest.items()}


def _passed(graph: fx.GraphModule, passes: Sequence[Pass]) -> tuple[fx.GraphModule, list[Change]]:
    """The graph after the passes and their changes, all in float64, as rounding weights would cost 1e-8."""
    changes: list[Change] = []
    for run in passes:
        done = run(graph)
        graph = done.graph
        changes += done.changes
    return graph, changes


@dataclass(frozen=True)
class _Fingerprint:
    """Shape, norm and random projections of a value."""

    shape: tuple[int, ...]
    norm: float
    projections: tuple[float, ...]
    module: str

    def factor_of(self, other: _Fingerprint) -> float | None:
        """This value divided by `other` if that is a constant (exactly 1 if they are equal); else None."""
        if self.shape != other.shape or not self.norm or not other.norm:
            return 1.0 if self.shape == other.shape and self.norm == other.norm else None
        factor = self.projections[0] / other.projections[0]
        factor = 1.0 if abs(factor - 1) <= EQUAL else factor
        ends = zip(self.projections, other.projections, strict=True)
        return factor if all(abs(a - factor * b) <= EQUAL * self.norm for a, b in ends) else None


def _fingerprints(graph: fx.GraphModule, inputs: Sequence[Tensor]) -> dict[str, _Fingerprint]:
    """The fingerprint of every floating-point value, by the name of its operation."""

    @cache
    def directions(size: int) -> Tensor:
        generator = torch.Generator().manual_seed(size)
        return torch.randn(PROJECTIONS, size, generator=generator, dtype=torch.float64)

    def fingerprint(node: fx.Node, value: Tensor) -> _Fingerprint:
        flat = value.double().flatten()
        projected = tuple(float(p) for p in directions(flat.numel()) @ flat)
        return _Fingerprint(tuple(value.shape), float(flat.norm()), projected, module_path(node))

    return visit(graph, inputs, fingerprint)


class _Match(NamedTuple):
    """The captured operation that has the value of an operation after the passes."""

    captured: str
    factor: float
    """The value after the passes divided by the captured one."""


def _matches(before: Mapping[str, _Fingerprint], after: Mapping[str, _Fingerprint]) -> dict[str, _Match]:
    """For each operation after the passes, the captured operation that it matches, if there is one.

    If several match (an identity repeats its input's value), an equal value is preferred to a multiple, and
    then one of the same module.
    """
    by_shape: dict[tuple[int, ...], list[tuple[str, _Fingerprint]]] = {}
    for name, fingerprint in before.items():
        by_shape.setdefault(fingerprint.shape, []).append((name, fingerprint))
    matches = {}
    for name, fingerprint in after.items():
        alike = [
            (factor != 1.0, old.module != fingerprint.module, place, old_name, factor)
            for place, (old_name, old) in enumerate(by_shape.get(fingerprint.shape, []))
            if (factor := fingerprint.factor_of(old)) is not None
        ]
        if alike:
            *_, old_name, factor = min(alike)
            matches[name] = _Match(old_name, factor)
    return matches


def _scaled(array: Array, factor: float) -> Array:
    return array if factor == 1.0 else array * np.float32(factor)


def _layers(
    captured: fx.GraphModule, graph: fx.GraphModule, matches: Mapping[str, _Match]
) -> tuple[Layer, ...]:
    originals = {node.name: node for node in captured.graph.nodes}
    return tuple(
        Layer(
            operation=node.name,
            module=module_path(node),
            kind=_kind(node),
            original=module_path(originals[matches[node.name].captured]) if node.name in matches else "",
            factor=matches[node.name].factor if node.name in matches else 1.0,
            reads=tuple(
                one.name for one in node.all_input_nodes if one.op in ("call_function", "placeholder")
            ),
            moves_only=returns_view(node) or node.target is operator.getitem,
            window=_window(node),
        )
        for node in graph.graph.nodes
        if node.op == "call_function"
    )


def _window(node: fx.Node) -> int:
    """The number of values that each value of a pooling or a mean is the mean of; 1 for other operations."""
    kind = _kind(node)
    if kind == "avg_pool2d":
        sizes = argument(node, "kernel_size")
        return prod(sizes) if len(sizes) > 1 else int(sizes[0]) ** 2
    if kind in ("mean", "adaptive_avg_pool2d"):
        (source,) = node.all_input_nodes
        return max(prod(shape_of(source)) // max(prod(shape_of(node)), 1), 1)
    return 1


def _missing(captured: fx.GraphModule, kept: set[str], changes: Sequence[Change]) -> tuple[Missing, ...]:
    """The captured operations that no file can have, because a pass changed or merged them."""
    missing = []
    for node in captured.graph.nodes:
        value = node.meta.get("val")
        floating = isinstance(value, Tensor) and value.is_floating_point()
        if node.op != "call_function" or node.name in kept or not floating:
            continue
        where = module_path(node)
        changed = [one.where for one in changes if where in (one.where, *re.split(r"[ ,]+", one.what))]
        folded = list(dict.fromkeys(changed))
        why = (
            f"a pass changed what it computes: {', '.join(folded)}"
            if folded
            else "a pass merged it into others"
        )
        missing.append(Missing(where, _kind(node), why))
    return tuple(missing)


def _run(graph: fx.GraphModule, inputs: Sequence[Tensor], wanted: set[str]) -> dict[str, Array]:
    def keep(node: fx.Node, value: Tensor) -> Array | None:
        return value.float().numpy().copy() if node.name in wanted else None

    return {name: array for name, array in visit(graph, inputs, keep).items() if array is not None}


def _output_names(graph: fx.GraphModule) -> list[str]:
    (output,) = (node for node in graph.graph.nodes if node.op == "output")
    return [leaf.name for leaf in torch.utils._pytree.tree_leaves(output.args[0])]


def _kind(node: fx.Node) -> str:
    return str(node.target).removeprefix("aten.").partition(".")[0]
