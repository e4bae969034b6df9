"""Run the passes. Each pass is proven on a float64 copy of the graph."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor, fx, nn

from mocovit_deploy.errors import ConversionError
from mocovit_deploy.graph.edit import copy_graph, in_double
from mocovit_deploy.passes import PASSES
from mocovit_deploy.passes.result import Change, PassResult, Proof, Refusal


class Pass(Protocol):
    """A function from a graph to a new one with its changes. The function's name is the pass's name."""

    __name__: str

    def __call__(self, graph: fx.GraphModule, /) -> PassResult: ...


BOUND = 1e-10
"""The largest difference that a pass may make in float64, relative to the output's range. Measured: below
1e-14."""


def named_pass(name: str) -> Pass:
    """The pass of this package with that name."""
    return rewrite(f"mocovit_deploy.passes.{name}")


def rewrite(module: str) -> Pass:
    """The function of a pass or of a format's rewrite, which has the same name as its module."""
    function: Pass = getattr(importlib.import_module(module), module.rpartition(".")[2])
    return function


def standard_passes(without: Collection[str] = ()) -> tuple[Pass, ...]:
    """The passes that every network gets, in order, except those named in `without`."""
    return tuple(named_pass(name) for name in PASSES if name not in without)


def run_passes(
    graph: fx.GraphModule,
    example: Sequence[Tensor],
    passes: Iterable[Pass] | None = None,
    seed: int = 0,
) -> PassResult:
    """Run `passes` in order (None: the standard ones). Returns a new graph, changes, refusals and proofs.

    A pass that changes something also runs on a float64 copy of the graph, whose outputs are compared with
    the original's. Inputs are seeded random numbers in the shapes of `example`; inputs that are not
    floating-point are taken from `example`. Raises `ConversionError` if a pass changes outputs by more than
    `BOUND`, or makes them NaN.
    """
    run = standard_passes() if passes is None else tuple(passes)
    proving = _Proving(graph, random_like(example, seed))
    if passes is None:
        proving.begin()
    changes: list[Change] = []
    proofs: list[Proof] = []
    for one in run:
        result = one(graph)
        touched = result.changes or _operations(result.graph) != _operations(graph)
        error = proving.error_of(one, result) if touched else None
        graph = result.graph
        changes += result.changes
        proofs.append(Proof(one.__name__, result.changes, result.refusals, error, BOUND))
    return PassResult(graph, tuple(changes), _still_refused(graph, run, proofs), tuple(proofs))


class _Proving:
    """The float64 copy that passes are proven on. It is made when the first pass changes something."""

    def __init__(self, graph: fx.GraphModule, inputs: Sequence[Tensor]) -> None:
        self._given, self._inputs = graph, inputs
        self._wide: fx.GraphModule | None = None
        self._original: list[Tensor] = []

    def begin(self) -> fx.GraphModule:
        """Make the copy. Raises `ConversionError` if the network's own outputs are not finite."""
        self._wide = in_double(self._given)
        self._original = outputs_of(self._wide, self._inputs)
        if not all(bool(t.isfinite().all()) for t in self._original):
            raise ConversionError(
                "the network itself computes NaN or infinity on random input; check its weights"
            )
        return self._wide

    def error_of(self, run: Pass, result: PassResult) -> float:
        """The error of the copy's outputs after the pass `run`, which returned `result` for the real graph.

        Raises `ConversionError` if it is over `BOUND`, or if the pass decides otherwise on the copy.
        """
        widened, name = run(self._wide or self.begin()), run.__name__
        error = relative_error(self._original, outputs_of(widened.graph, self._inputs))
        if not error <= BOUND:
            raise ConversionError(
                f"pass {name} changes what the network computes: relative error {error:.1e} in float64, but "
                f"rounding is at most {BOUND:.0e}; this is a defect of the pass: report it, and use "
                f"--without {name}"
            )
        if result.changes != widened.changes:
            raise ConversionError(
                f"pass {name} decides otherwise in float64, so its proof is void; report this, and use "
                f"--without {name}"
            )
        self._wide = widened.graph
        return error


def _still_refused(
    graph: fx.GraphModule, passes: Sequence[Pass], proofs: Sequence[Proof]
) -> tuple[Refusal, ...]:
    """The refusals that still hold for the final graph, as a later pass may have changed the place."""
    refusals: list[Refusal] = []
    for position, (run, proof) in enumerate(zip(passes, proofs, strict=True)):
        changed_since = any(later.changes for later in proofs[position + 1 :])
        asked_again = proof.refusals and changed_since
        refusals += run(graph).refusals if asked_again else proof.refusals
    return tuple(refusals)


def reparameterize(module: nn.Module, example: Sequence[Tensor] | Tensor) -> PassResult:
    """Capture `module` and run every pass on it. The result is proven exact, and can be fine-tuned.

    `example` holds the inputs of one run, in the shapes that the result will take.

        result = mocovit_deploy.reparameterize(network, torch.zeros(1, 3, 224, 224))
        logits = result.graph(images)
        for refusal in result.refusals: print(refusal.where, refusal.why)

    Raises `ConversionError` if torch.export cannot capture the network, or if a proof fails.
    """
    from mocovit_deploy.graph.capture import capture

    inputs = (example,) if isinstance(example, Tensor) else tuple(example)
    result = run_passes(capture(module, inputs), inputs)
    own = copy_graph(result.graph)  # until here it shares weights that no pass changed with the module
    return replace(result, graph=fx.GraphModule(own, own.graph))


def relative_error(expected: Sequence[Tensor], found: Sequence[Tensor]) -> float:
    """The largest absolute difference, each output's relative to its range; NaN if either side holds NaN."""
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
    """Seeded float64 normal numbers in the shapes of `example`; tensors of other kinds unchanged."""
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(t.shape, generator=generator, dtype=torch.float64) if t.is_floating_point() else t
        for t in example
    ]


def outputs_of(graph: fx.GraphModule, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Every tensor that `graph` returns, in order.

    The graph is interpreted, because generating Python code for a graph that runs once takes longer.
    """
    with torch.no_grad():
        result: Any = fx.Interpreter(graph).run(*inputs)
    return [leaf for leaf in torch.utils._pytree.tree_leaves(result) if isinstance(leaf, Tensor)]
