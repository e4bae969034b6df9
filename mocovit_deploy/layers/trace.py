"""The original network from the inside: what it computes at every operation, and which of them files have.

    captured graph         conv2d - batch_norm - relu      what is expected of a file is computed here
    re-parameterized graph conv2d ------------ - relu      what files are made of, and marked with

The two are matched by value: in float64, on random inputs, an operation of the second graph is the one of
the first whose output it equals (rounding is 1e-14 there), or is a constant factor of, as between a scale
that was folded and where it used to be. So the folded conv2d is the captured batch_norm, whatever passes
did, and no pass has to keep books.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import prod

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
"""Two values are one where their projections differ by less, relative to their norm."""
PROJECTIONS = 3


def trace(
    network: Network,
    captured: fx.GraphModule,
    samples: Sequence[Mapping[str, Array]],
    without: Sequence[str] = (),
    lowerings: Sequence[Pass] = (),
) -> Trace:
    """Run the original network on `samples` (one run each), and keep what it computes at every layer.

    `captured` is the graph of the network before the passes; `without` names passes that were left out of
    the export; `lowerings` are the rewrites that the file's format made after the passes. Raises
    `ConversionError` as passes do.
    """
    example = network.inputs.for_capture(0, free_batch=False)
    wide = in_double(captured)
    graph, changes = _passed(wide, [*standard_passes(without), *lowerings])
    inputs = random_like(example, seed=0)
    before, after = _fingerprints(wide, inputs), _fingerprints(graph, inputs)
    pairs = _pairs(before, after)
    layers = _layers(captured, graph, pairs)
    wanted = {old for old, _ in pairs.values()}
    runs = [
        _run(captured, [torch.from_numpy(sample[name]) for name in network.input_names], wanted)
        for sample in samples
    ]
    values = {new: tuple(_scaled(run[old], factor) for run in runs) for new, (old, factor) in pairs.items()}
    outputs = dict(zip(network.output_names, _output_names(graph), strict=True))
    kept = {old for old, one in before.items() if any(one.factor_of(other) for other in after.values())}
    lost = _rounding(wide, network, samples, runs)
    rounding = {new: lost[old] for new, (old, _) in pairs.items()}
    return Trace(layers, values, _missing(captured, kept, changes), outputs, rounding)


def _rounding(
    wide: fx.GraphModule,
    network: Network,
    samples: Sequence[Mapping[str, Array]],
    runs: Sequence[Mapping[str, Array]],
) -> dict[str, float]:
    """By operation: the largest difference of `runs`, in float32, to float64, relative to its range."""
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
    """The graph after the passes, in float64 all along: rounding weights once is 1e-8 of a value."""
    changes: list[Change] = []
    for run in passes:
        done = run(graph)
        graph = done.graph
        changes += done.changes
    return graph, changes


@dataclass(frozen=True)
class _Fingerprint:
    shape: tuple[int, ...]
    norm: float
    projections: tuple[float, ...]
    module: str

    def factor_of(self, other: _Fingerprint) -> float | None:
        """The constant that this value is times `other`, or None; exactly 1 where they are equal."""
        if self.shape != other.shape or not self.norm or not other.norm:
            return 1.0 if self.shape == other.shape and self.norm == other.norm else None
        factor = self.projections[0] / other.projections[0]
        factor = 1.0 if abs(factor - 1) <= EQUAL else factor
        ends = zip(self.projections, other.projections, strict=True)
        return factor if all(abs(a - factor * b) <= EQUAL * self.norm for a, b in ends) else None


def _fingerprints(graph: fx.GraphModule, inputs: Sequence[Tensor]) -> dict[str, _Fingerprint]:
    """Shape and random projections of every floating-point value, by the name of its operation."""

    @cache
    def directions(size: int) -> Tensor:
        generator = torch.Generator().manual_seed(size)
        return torch.randn(PROJECTIONS, size, generator=generator, dtype=torch.float64)

    def fingerprint(node: fx.Node, value: Tensor) -> _Fingerprint:
        flat = value.double().flatten()
        projected = tuple(float(p) for p in directions(flat.numel()) @ flat)
        return _Fingerprint(tuple(value.shape), float(flat.norm()), projected, module_path(node))

    return visit(graph, inputs, fingerprint)


def _pairs(
    before: Mapping[str, _Fingerprint], after: Mapping[str, _Fingerprint]
) -> dict[str, tuple[str, float]]:
    """For each operation after the passes, the one before them whose value it has, and times what.

    Of several with one value (an identity repeats its input's) an equal one is taken before a multiple, and
    then one of the same module.
    """
    by_shape: dict[tuple[int, ...], list[tuple[str, _Fingerprint]]] = {}
    for name, fingerprint in before.items():
        by_shape.setdefault(fingerprint.shape, []).append((name, fingerprint))
    pairs = {}
    for name, fingerprint in after.items():
        alike = [
            (factor != 1.0, old.module != fingerprint.module, place, old_name, factor)
            for place, (old_name, old) in enumerate(by_shape.get(fingerprint.shape, []))
            if (factor := fingerprint.factor_of(old)) is not None
        ]
        if alike:
            *_, old_name, factor = min(alike)
            pairs[name] = (old_name, factor)
    return pairs


def _scaled(array: Array, factor: float) -> Array:
    return array if factor == 1.0 else array * np.float32(factor)


def _layers(
    captured: fx.GraphModule, graph: fx.GraphModule, pairs: Mapping[str, tuple[str, float]]
) -> tuple[Layer, ...]:
    originals = {node.name: node for node in captured.graph.nodes}
    return tuple(
        Layer(
            operation=node.name,
            module=module_path(node),
            kind=_kind(node),
            original=module_path(originals[pairs[node.name][0]]) if node.name in pairs else "",
            factor=pairs[node.name][1] if node.name in pairs else 1.0,
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
    """How many values each value of a pooling or a mean is the mean of; 1 for other operations."""
    kind = _kind(node)
    if kind == "avg_pool2d":
        sizes = argument(node, "kernel_size")
        return prod(sizes) if len(sizes) > 1 else int(sizes[0]) ** 2
    if kind in ("mean", "adaptive_avg_pool2d"):
        (source,) = node.all_input_nodes
        return max(prod(shape_of(source)) // max(prod(shape_of(node)), 1), 1)
    return 1


def _missing(captured: fx.GraphModule, kept: set[str], changes: Sequence[Change]) -> tuple[Missing, ...]:
    """The captured operations that no file can have, because a pass made them part of another."""
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
            else "a pass made it part of others"
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
