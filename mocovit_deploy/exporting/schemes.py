"""How the graphs of one export are quantized. Each graph is observed once, all on the same images.

A format may rewrite the graph before it writes it. Values that a rewrite makes are observed like all others.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mocovit_deploy.passes.result import PassResult
from mocovit_deploy.quantization.calibration_set import CalibrationSet
from mocovit_deploy.quantization.observe import observe
from mocovit_deploy.quantization.scheme import Scheme, scheme_of, weights_scheme, with_input_means
from mocovit_deploy.spec import CalibrationRequest
from mocovit_deploy.terminal.progress import Stages


@dataclass(frozen=True)
class Schemes:
    """The schemes of one export."""

    request: CalibrationRequest | None
    calibration: CalibrationSet | None
    """The images that ranges are taken from; None if no requested recipe has fixed ranges."""
    stages: Stages
    made: dict[tuple[str, ...], Scheme] = field(default_factory=dict)
    """The schemes made so far, by the names of the rewrites that changed the graph."""

    def of(self, lowered: PassResult) -> Scheme:
        """How the graph of `lowered` is quantized, which is the passes' graph after a format's rewrites."""
        changed = tuple(proof.name for proof in lowered.proofs if proof.changes)
        if changed not in self.made:
            self.made[changed] = self._make(lowered)
        return self.made[changed]

    def _make(self, lowered: PassResult) -> Scheme:
        if self.request is None or self.calibration is None:
            return weights_scheme(lowered.graph)
        with self.stages("ranges"):
            observed = observe(
                lowered.graph,
                self.calibration,
                lambda done, all_: self.stages.show(f"ranges {done} of {all_} runs ..."),
            )
            scheme = scheme_of(lowered.graph, observed, self.request.ranges, self.calibration)
            corrects = self.request.bias_correction
            return with_input_means(scheme, lowered.graph, observed) if corrects else scheme
