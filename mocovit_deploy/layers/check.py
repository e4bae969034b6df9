"""Per-layer parity of one file: the network it was made from is built again and looked into beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from torch import fx

from mocovit_deploy.artifacts.artifact import Array, Artifact, from_layout
from mocovit_deploy.artifacts.golden import Golden
from mocovit_deploy.artifacts.marks import FileValue
from mocovit_deploy.artifacts.provenance import model_of
from mocovit_deploy.errors import ParityError, UsageError
from mocovit_deploy.formats import Predictor, format_named
from mocovit_deploy.graph.capture import capture
from mocovit_deploy.layers.farthest import with_farthest, worst_output
from mocovit_deploy.layers.order import in_known_order
from mocovit_deploy.layers.original import Missing, Trace
from mocovit_deploy.layers.taps import LayerReading, find_taps, first_divergence, missing_after, read_taps
from mocovit_deploy.layers.trace import trace
from mocovit_deploy.models.load import Network, load_network
from mocovit_deploy.parity.compare import compare_output
from mocovit_deploy.parity.decide import FAIL, PASS, Verdict
from mocovit_deploy.parity.tolerance import LAYER_TOLERANCES, SAME_NETWORK
from mocovit_deploy.parity.verdict import not_computed, without_nan
from mocovit_deploy.passes.run import Pass, rewrite

SAMPLES = 2
"""Runs that are looked into: the first golden sample, a photograph, and the last, random numbers. A file
whose outputs are wrong and whose layers seem right is looked into on the sample of the worst output too."""


@dataclass(frozen=True)
class LayerReport:
    """Every layer of one file beside the original network's."""

    verdict: Verdict
    reason: str
    runtime: str
    arithmetic: str
    bound: float
    samples: tuple[str, ...]
    readings: tuple[LayerReading, ...]
    missing: tuple[Missing, ...]
    not_run: str = ""
    """What the file is made for and this machine could not execute, as in "fp16 arithmetic"."""

    def as_json(self) -> dict[str, Any]:
        """Plain data; infinities and NaN become None."""
        divergence = first_divergence(self.readings)
        document = {
            "verdict": self.verdict,
            "reason": self.reason,
            "runtime": self.runtime,
            "arithmetic": self.arithmetic,
            "not_run": self.not_run,
            "bound": self.bound,
            "samples": self.samples,
            "first_divergence": divergence and _reading_as_json(divergence),
            "layers": [_reading_as_json(reading) for reading in self.readings],
            "without_counterpart": [dataclasses.asdict(one) for one in self.missing],
        }
        return cast("dict[str, Any]", without_nan(document))


@dataclass(frozen=True)
class LayerReference:
    """The original network of a file from the inside, and the golden samples it was run on."""

    inside: Trace
    samples: tuple[int, ...]
    lowered: tuple[str, ...] = ()
    """The rewrites of the files it can be compared with (`lowered_by`)."""


def check_layers(artifact: Artifact, golden: Golden, *, bisect: bool) -> LayerReport:
    """Compare every layer of a file with the original network's, on two of the golden inputs.

    With `bisect` each layer is also run alone, from the original's values at the layers before it, and that
    decides. Needs torch, and runs the code that defines the network: for files of one's own.
    Raises `UsageError` where the manifest does not lead back to the network, `ParityError` where the file
    bears no marks or its arithmetic has no bound: then nothing was checked.
    """
    values = _values(artifact)
    return _check(artifact, golden, values, original(artifact, golden), bisect=bisect)


def check_against(
    artifact: Artifact, golden: Golden, reference: LayerReference, *, bisect: bool
) -> LayerReport:
    """`check_layers` for one of several files of one network and one set of rewrites, by their `original`."""
    assert reference.lowered == lowered_by(artifact), "a reference of files with other rewrites"
    return _check(artifact, golden, _values(artifact), reference, bisect=bisect)


def original(artifact: Artifact, golden: Golden, samples: Sequence[int] | None = None) -> LayerReference:
    """Build the network of a file again, and look into it on golden samples: by default the first and last.

    Raises `UsageError` where it cannot be built any more.
    """
    spec = model_of(artifact)
    network = load_network(spec)
    if network.weights != artifact.weights:
        raise UsageError(
            f"{artifact.path}: was made from weights {artifact.weights}; {spec.name} now has "
            f"{network.weights}"
        )
    inputs = {spec.name: from_layout(golden.inputs[spec.name], spec) for spec in artifact.inputs}
    options = (artifact.source or {}).get("options", {})
    if options.get("deploy_hooks"):
        raise ParityError(
            f"{artifact.path}: layers not run: --deploy-hooks changed the network before it was captured; "
            "export without it"
        )
    captured = capture(network.module, network.inputs.for_capture(0, free_batch=False))
    names = lowered_by(artifact)
    rewrites = [rewrite(module) for module in format_named(artifact.format).lowerings(artifact.recipe)]
    lowerings = [run for run in rewrites if run.__name__ in names]
    return look(network, captured, inputs, tuple(options.get("without", ())), lowerings, samples)


def look(
    network: Network,
    captured: fx.GraphModule,
    inputs: Mapping[str, Array],
    without: Sequence[str],
    lowerings: Sequence[Pass] = (),
    samples: Sequence[int] | None = None,
) -> LayerReference:
    """Look into a network on some of its parity samples, (samples, ...) as torch has them.

    `without` names passes that were left out of the export; `lowerings` are the rewrites of the file;
    `samples` are numbers of samples, by default those of the first and the last.
    """
    count = min(len(array) for array in inputs.values())
    chosen = sorted({0, count - 1})[:SAMPLES] if samples is None else samples
    runs = [{name: array[i] for name, array in inputs.items()} for i in chosen]
    inside = trace(network, captured, runs, without, lowerings)
    return LayerReference(inside, tuple(chosen), tuple(run.__name__ for run in lowerings))


def lowered_by(artifact: Artifact) -> tuple[str, ...]:
    """The rewrites its format made of the network for this file, as its manifest names them."""
    return tuple(str(one.get("name", "")) for one in artifact.lowering)


def _require_same_network(artifact: Artifact, golden: Golden, reference: LayerReference) -> None:
    inside, chosen = reference.inside, list(reference.samples)
    floating = {name: one for name, one in inside.outputs.items() if one in inside.values}
    if not floating:
        raise ParityError(f"{artifact.path}: layers not run: no output is computed in floating point")
    for name, operation in floating.items():
        difference = compare_output(name, golden.outputs[name][chosen], np.stack(inside.values[operation]))
        if not (difference.finite and difference.max_error <= SAME_NETWORK):
            raise UsageError(
                f"{artifact.path}: {artifact.model} as it is now gives another {name} than when this file "
                "was exported; export again"
            )


def _values(artifact: Artifact) -> tuple[FileValue, ...]:
    if artifact.dynamic_batch:
        raise ParityError(
            f"{artifact.path}: layers not run: with a free batch its values have no shapes; also export it "
            "without --dynamic batch"
        )
    values = format_named(artifact.format).values(artifact)
    if not any(value.marks for value in values):
        raise ParityError(
            f"{artifact.path}: layers not run: its values do not say which layers they are; export it again "
            "with this version"
        )
    return values


def _check(
    artifact: Artifact,
    golden: Golden,
    values: Sequence[FileValue],
    reference: LayerReference,
    *,
    bisect: bool,
) -> LayerReport:
    report, plain = _looked_into(artifact, golden, values, reference, bisect=bisect)
    worst = worst_output(artifact, golden, plain) if bisect and report.verdict == PASS else None
    if worst is None:
        return report
    if worst.worst_sample not in reference.samples:
        reference = original(artifact, golden, (worst.worst_sample,))
        report, _ = _looked_into(artifact, golden, values, reference, bisect=bisect)
    if report.verdict != PASS:
        return report
    readings = with_farthest(report.readings)
    farthest = first_divergence(readings)
    assert farthest is not None, "no readings"
    reason = (
        f"{worst.output} is wrong, and no layer alone by more than {report.bound:.0e} of its range; "
        f"the farthest: {describe_reading(farthest)}"
    )
    return dataclasses.replace(report, verdict=FAIL, reason=reason, readings=readings)


def _looked_into(
    artifact: Artifact,
    golden: Golden,
    values: Sequence[FileValue],
    reference: LayerReference,
    *,
    bisect: bool,
) -> tuple[LayerReport, Predictor]:
    """What the taps show on the samples of the reference, and the file as it runs with them."""
    _require_same_network(artifact, golden, reference)
    inside, exporter = reference.inside, format_named(artifact.format)
    taps, missing = find_taps(inside, values)
    if not taps:
        raise ParityError(f"{artifact.path}: layers not run: none of its values is a layer's")
    names = [tap.value.name for tap in taps]
    plain = exporter.load_inside(artifact, names, ())
    tolerance = LAYER_TOLERANCES.get((artifact.format, artifact.recipe, plain.arithmetic))
    if tolerance is None:
        raise ParityError(
            f"{artifact.path}: layers not run: no tolerance for {artifact.recipe} in {plain.arithmetic}"
        )
    bound = tolerance.alone if bisect else tolerance.carried
    inputs = [{name: array[i] for name, array in golden.inputs.items()} for i in reference.samples]
    carried = [plain(sample) for sample in inputs]
    taps, in_another = in_known_order(inside, taps, carried, tolerance.carried)
    names = [tap.value.name for tap in taps]
    stand_ins = [tap.value.name for tap in taps if not inside.is_output(tap.layer)]
    forced = exporter.load_inside(artifact, names, stand_ins) if bisect else None
    readings = read_taps(inside, taps, inputs, carried, forced, bound)
    divergence = first_divergence(readings)
    verdict, reason = PASS, f"{len(readings)} layers within {bound:.0e} of their range"
    if divergence is not None:
        verdict, reason = FAIL, f"first divergence: {describe_reading(divergence)}"
    samples = tuple(golden.names[i] for i in reference.samples)
    report = LayerReport(
        verdict,
        reason,
        plain.runtime,
        plain.arithmetic,
        bound,
        samples,
        readings,
        missing_after((*missing, *in_another), taps, readings),
        not_computed(artifact.recipe, plain.arithmetic),
    )
    return report, plain


def describe_reading(reading: LayerReading) -> str:
    """A reading in one sentence: the torch module first."""
    decisive = reading.alone or reading.carried
    error = f"off by {decisive.max_error:.1e} of its range" if decisive.finite else "not finite"
    how = " alone" if reading.alone is not None else ""
    module, *others = reading.span
    along = f", with {', '.join(one or 'the network' for one in others)} in one piece" if others else ""
    kind = f": {reading.kind}" if reading.kind else ""
    return f"{module or 'the network'} ({reading.tap.layer.kind}{along}) is {error}{how}{kind}"


def _reading_as_json(reading: LayerReading) -> dict[str, Any]:
    tap = reading.tap
    return {
        "module": tap.layer.module,
        "operation": tap.layer.operation,
        "kind": tap.layer.kind,
        "original": tap.layer.original,
        "span": reading.span,
        "file_value": tap.value.name,
        "arrangement": tap.form,
        "carried": dataclasses.asdict(reading.carried),
        "alone": reading.alone and dataclasses.asdict(reading.alone),
        "diverges": reading.diverges,
        "what": reading.kind,
    }
