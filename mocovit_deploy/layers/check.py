"""Per-layer parity of one file: its network is built again, and their layers are compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

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
from mocovit_deploy.layers.original import Trace
from mocovit_deploy.layers.report import LayerReport, describe_reading
from mocovit_deploy.layers.steps import rounding_errors
from mocovit_deploy.layers.taps import Tap, find_taps, first_divergence, missing_after, read_taps
from mocovit_deploy.layers.trace import graph_after, trace
from mocovit_deploy.models.load import Network, load_network
from mocovit_deploy.parity.compare import compare_output
from mocovit_deploy.parity.decide import FAIL, PASS
from mocovit_deploy.parity.tolerance import LAYER_TOLERANCES, SAME_NETWORK
from mocovit_deploy.parity.verdict import not_computed
from mocovit_deploy.passes.run import Pass, rewrite
from mocovit_deploy.quantization.recipes import recipe_named

SAMPLES = 2
"""How many golden samples layers are compared on: the first, a photograph, and the last, random numbers.

If a file's outputs are wrong and its layers seem right, layers are also compared on the sample of the worst
output.
"""


@dataclass(frozen=True)
class LayerReference:
    """The layers of a file's original network, with their values for some golden samples."""

    inside: Trace
    samples: tuple[int, ...]
    """The numbers of those samples in the golden file."""
    lowered: tuple[str, ...] = ()
    """The rewrites of the files that it can be compared with (`lowered_by`)."""
    inputs: Mapping[str, tuple[Array, ...]] = field(default_factory=dict)
    """By name, the network's inputs for each of the samples, in the order that the graph takes them."""
    graph: Callable[[], fx.GraphModule] | None = None
    """Makes the graph of the operations of `inside`, in float64."""


def check_layers(artifact: Artifact, golden: Golden, *, bisect: bool) -> LayerReport:
    """Compare every layer of a file with the original network's, on two of the golden inputs.

    With `bisect` each layer is also run alone, from the original's values at the layers before it, and its
    error alone decides; so it is for quantized files in any case, because their errors of rounding add up.
    Needs torch, and runs the code that defines the network, so use it for trusted files.
    Raises `UsageError` if the network cannot be built again from the manifest, `ParityError` if the file
    holds no marks or its arithmetic has no bound; then nothing was checked.
    """
    values = _values(artifact)
    return _check(artifact, golden, values, original(artifact, golden), bisect=bisect)


def check_against(
    artifact: Artifact, golden: Golden, reference: LayerReference, *, bisect: bool
) -> LayerReport:
    """`check_layers` for a file whose `original` is at hand, as several files of one network can share it."""
    assert reference.lowered == lowered_by(artifact), "a reference of files with other rewrites"
    return _check(artifact, golden, _values(artifact), reference, bisect=bisect)


def original(artifact: Artifact, golden: Golden, samples: Sequence[int] | None = None) -> LayerReference:
    """Build the network of a file again, and run it layer by layer on golden samples.

    `samples` are numbers of samples; None for the first and the last. Raises `UsageError` if the network
    cannot be built again or has other weights now, `ParityError` for a file of --deploy-hooks.
    """
    spec = model_of(artifact)
    network = load_network(spec)
    if network.weights != artifact.weights:
        raise UsageError(
            f"{artifact.path}: was made from weights {artifact.weights}, but {spec.name} now has "
            f"{network.weights}; export again"
        )
    inputs = {spec.name: from_layout(golden.inputs[spec.name], spec) for spec in artifact.inputs}
    options = (artifact.source or {}).get("options", {})
    if options.get("deploy_hooks"):
        raise ParityError(
            f"{artifact.path}: layers not run: --deploy-hooks changed the network before it was captured; "
            "export without --deploy-hooks"
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
    """Run a network layer by layer on some of its parity samples.

    `captured` is its graph before the passes; `inputs` are (samples, ...) in torch's layout; `without` names
    passes that were left out of the export; `lowerings` are the rewrites of the file; `samples` are numbers
    of samples, None for the first and the last.
    """
    count = min(len(array) for array in inputs.values())
    chosen = sorted({0, count - 1})[:SAMPLES] if samples is None else samples
    runs = [{name: array[i] for name, array in inputs.items()} for i in chosen]
    inside = trace(network, captured, runs, without, lowerings)
    return LayerReference(
        inside,
        tuple(chosen),
        tuple(run.__name__ for run in lowerings),
        {name: tuple(run[name] for run in runs) for name in network.input_names},
        cache(lambda: graph_after(captured, without, lowerings)),
    )


def lowered_by(artifact: Artifact) -> tuple[str, ...]:
    """The names of the rewrites that the format made for this file, from its manifest."""
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
                f"{artifact.path}: {artifact.model} now computes another {name} than when this file was "
                "exported; export again"
            )


def _values(artifact: Artifact) -> tuple[FileValue, ...]:
    if artifact.dynamic_batch:
        raise ParityError(
            f"{artifact.path}: layers not run: with --dynamic batch its values have no fixed shapes; export "
            "it without --dynamic batch as well"
        )
    values = format_named(artifact.format).values(artifact)
    if not any(value.marks for value in values):
        raise ParityError(
            f"{artifact.path}: layers not run: its values are not marked with their layers; export it again "
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
    bisect = bisect or recipe_named(artifact.recipe).quantizes
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
        f"{worst.output} is wrong, but no layer alone is off by more than {report.limit}; "
        f"the farthest off: {describe_reading(farthest)}"
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
    """The comparison on the samples of the reference, and the predictor of the file that it used."""
    _require_same_network(artifact, golden, reference)
    inside, exporter = reference.inside, format_named(artifact.format)
    taps, missing = find_taps(inside, values)
    if not taps:
        raise ParityError(f"{artifact.path}: layers not run: none of its values belongs to a layer")
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
    rounded = tolerance.steps is not None
    taps, in_another = in_known_order(inside, taps, carried, tolerance.carried, rounded=rounded)
    names = [tap.value.name for tap in taps]
    stand_ins = [tap.value.name for tap in taps if not inside.is_output(tap.layer)]
    forced = exporter.load_inside(artifact, names, stand_ins) if bisect else None

    def bounds_of(settled: Sequence[Tap]) -> dict[str, float]:
        if tolerance.steps is None:
            return {}
        assert reference.graph is not None, "a reference that `look` did not make"
        errors = rounding_errors(reference.graph(), inside, settled, values, reference.inputs)
        return {name: max(error * tolerance.steps, bound) for name, error in errors.items()}

    readings = read_taps(inside, taps, inputs, carried, forced, bound, bounds_of)
    divergence = first_divergence(readings)
    samples = tuple(golden.names[i] for i in reference.samples)
    report = LayerReport(
        PASS,
        "",
        plain.runtime,
        plain.arithmetic,
        bound,
        samples,
        readings,
        missing_after((*missing, *in_another), taps, readings),
        not_computed(artifact.recipe, plain.arithmetic),
        tolerance.steps,
    )
    if divergence is None:
        return dataclasses.replace(report, reason=f"{len(readings)} layers within {report.limit}"), plain
    reason = f"first divergence: {describe_reading(divergence)}"
    return dataclasses.replace(report, verdict=FAIL, reason=reason), plain
