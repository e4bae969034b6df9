"""Run the passes, each proven on a float64 copy before it is done for real."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from mocovit_deploy.errors import ConversionError
from mocovit_deploy.graph.edit import in_double
from mocovit_deploy.passes import PASSES
from mocovit_deploy.passes.result import Change, PassResult, Proof, Refusal

Pass = Callable[[fx.GraphModule], PassResult]

BOUND = 1e-10
"""Largest difference a pass may make in float64, relative to the output's range; measured: below 1e-14."""


def named_pass(name: str) -> Pass:
    """The pass called `name`: the function of that name in the module of that name."""
    function: Pass = getattr(importlib.import_module(f"mocovit_deploy.passes.{name}"), name)
    return function


def run_passes(
    graph: fx.GraphModule, example: Sequence[Tensor], passes: Iterable[str] = PASSES, seed: int = 0
) -> PassResult:
    """Run `passes` in order; a new graph, with every change, refusal and proof.

    Each pass first runs on a float64 copy, fed with seeded random numbers in the shapes of `example`
    (floats; other dtypes are taken as they are), and its outputs are compared with the original's. A pass
    that changes them by more than `BOUND`, or makes them NaN, raises `ConversionError`: nothing is written.
    """
    wide, inputs = in_double(graph), random_like(example, seed)
    original = outputs_of(wide, inputs)
    if not all(bool(t.isfinite().all()) for t in original):
        raise ConversionError("the network itself gives NaN or infinity on random input: check its weights")
    changes: list[Change] = []
    proofs: list[Proof] = []
    for name in passes:
        run = named_pass(name)
        widened = run(wide)
        touched = widened.changes or _operations(widened.graph) != _operations(wide)
        error = relative_error(original, outputs_of(widened.graph, inputs)) if touched else None
        if error is not None and not error <= BOUND:
            raise ConversionError(
                f"pass {name} changes what the network computes: relative error {error:.1e} in float64, "
                f"rounding is at most {BOUND:.0e}; a defect of the pass: report it, and use --without {name}"
            )
        result = run(graph)
        if result.changes != widened.changes:
            raise ConversionError(f"pass {name} decides otherwise in float64; its proof says nothing")
        wide, graph = widened.graph, result.graph
        changes += result.changes
        proofs.append(Proof(name, result.changes, result.refusals, error, BOUND))
    return PassResult(graph, tuple(changes), _still_refused(graph, proofs), tuple(proofs))


def _still_refused(graph: fx.GraphModule, proofs: Sequence[Proof]) -> tuple[Refusal, ...]:
    """What the passes refuse in the final graph: a later pass may have dealt with what one refused."""
    refusals: list[Refusal] = []
    for position, proof in enumerate(proofs):
        changed_since = any(later.changes for later in proofs[position + 1 :])
        asked_again = proof.refusals and changed_since
        refusals += named_pass(proof.name)(graph).refusals if asked_again else proof.refusals
    return tuple(refusals)


def reparameterize(module: nn.Module, example: Sequence[Tensor] | Tensor) -> PassResult:
    """Capture `module` and run every pass on it: exact, proven, and still an `nn.Module` to fine-tune.

    `example` holds the inputs, in the shapes the result will take.

        result = mocovit_deploy.reparameterize(network, torch.zeros(1, 3, 224, 224))
        logits = result.graph(images)
        for refusal in result.refusals: print(refusal.where, refusal.why)

    Raises `ConversionError` when torch.export cannot take the network or a proof fails.
    """
    from mocovit_deploy.graph.capture import capture

    inputs = (example,) if isinstance(example, Tensor) else tuple(example)
    return run_passes(capture(module, inputs), inputs)


def relative_error(expected: Sequence[Tensor], found: Sequence[Tensor]) -> float:
    """Largest absolute difference, each output's relative to its own range; NaN if either side has one."""
    worst = 0.0
    if any(e.shape != f.shape or e.dtype != f.dtype for e, f in zip(expected, found, strict=True)):
        return float("nan")
    for e, f in zip(map(Tensor.double, expected), map(Tensor.double, found), strict=True):
        if not (e.isfinite().all() and f.isfinite().all()):
            return float("nan")
        if e.numel():
            spread = float(e.max() - e.min()) or float(e.abs().max()) or 1.0
            worst = max(worst, float((e - f).abs().max()) / spread)
    return worst


def _operations(graph: fx.GraphModule) -> list[object]:
    return [node.target for node in graph.graph.nodes]


def random_like(example: Sequence[Tensor], seed: int) -> list[Tensor]:
    """Seeded float64 normal numbers in the shapes of `example`; what is not floating is taken as it is."""
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(t.shape, generator=generator, dtype=torch.float64) if t.is_floating_point() else t
        for t in example
    ]


def outputs_of(graph: fx.GraphModule, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Every tensor that `graph` returns, in order."""
    with torch.no_grad():
        result: Any = graph(*inputs)
    return [leaf for leaf in torch.utils._pytree.tree_leaves(result) if isinstance(leaf, Tensor)]
