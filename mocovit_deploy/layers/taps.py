"""Taps: pairs of a layer of the network and the value in a file that should equal it.

    carried   the file runs from its inputs; errors of earlier layers are carried into later ones
    alone     each layer of the file runs from the *original's* values before it, so its error is its own

The first divergence is the first layer in the order of execution whose error is over the bound. With `bisect`
the error alone decides, so that no layer is blamed for errors of earlier ones. Numpy only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.artifacts.marks import FileValue, split_mark
from mocovit_deploy.formats import Predictor
from mocovit_deploy.layers.arrange import Arrangement, arrangements
from mocovit_deploy.layers.merged import merged_after, nearest_choice
from mocovit_deploy.layers.original import Layer, Missing, Trace
from mocovit_deploy.layers.symptoms import kind_of
from mocovit_deploy.parity.compare import Difference, compare_output
from mocovit_deploy.parity.tolerance import OWN_ROUNDING

AFFINE = ("layer_norm", "group_norm", "batch_norm", "mul", "add", "sub", "div")
"""Operations whose scale and shift a converter may move into the layer that reads them."""
FITS = 10.0
"""An unlikely arrangement is chosen only if its error is this many times smaller."""


@dataclass(frozen=True)
class Tap:
    """A layer and its value in the file."""

    layer: Layer
    value: FileValue
    arrangement: Arrangement
    merged: tuple[Layer, ...] = ()
    """Scales and shifts after `layer` that the file has no values of; the value may be one of theirs."""
    factor: float = 1.0
    """The file's value divided by the layer's. Not 1 for a mean that the file holds as a sum."""

    @property
    def form(self) -> str:
        """How the file holds the value, for people: "nhwc, times 9"; empty if unchanged."""
        times = "" if self.factor == 1.0 else f"times {self.factor:g}"
        return ", ".join(word for word in (self.arrangement.name, times) if word)


@dataclass(frozen=True)
class LayerReading:
    """The comparison of one tap. Errors are relative to the value's range, as in `compare_output`."""

    tap: Tap
    span: tuple[str, ...]
    """The modules that the file computes between the taps before this one and this one; this one's is
    first."""
    carried: Difference
    alone: Difference | None
    """None without `bisect`."""
    kind: str
    """A description of what is wrong with the value; empty if it does not diverge."""
    diverges: bool
    allowed: float
    """The largest error, relative to the layer's range, that is no divergence."""


class TapsFound(NamedTuple):
    """The layers of a network that a file holds values of, and those that it does not."""

    taps: tuple[Tap, ...]
    missing: tuple[Missing, ...]


def find_taps(trace: Trace, values: Sequence[FileValue]) -> TapsFound:
    """The taps of a file in the order of execution, and the layers without a tap, each with the reason.

    A value with several marks belongs to the last of those operations whose shape fits. Its other marks are
    those of operands, and of layers whose constants it shares. If several values have one mark, the last is
    the operation's result; those before it prepare its operands.
    """
    place = {layer.operation: number for number, layer in enumerate(trace.layers)}
    by_operation: dict[str, list[FileValue]] = {}
    merged_into: dict[str, Layer] = {}
    moved_into: dict[str, Layer] = {}
    for value in values:
        marked = [split_mark(mark)[1] for mark in value.marks]
        known = sorted({one for one in marked if one in place}, key=lambda one: -place[one])
        known = [trace.outputs[value.name]] if value.name in trace.outputs else known
        if not known:
            continue
        own = next((one for one in known if _fits(trace, one, value)), known[0])
        by_operation.setdefault(own, []).append(value)
        layer = trace.layers[place[own]]
        for other in marked:
            if other != own:
                merged_into.setdefault(other, layer)
            if other in layer.reads and trace.layers[place[other]].kind in AFFINE:
                moved_into[other] = layer
    followers = merged_after(trace.layers, frozenset({*by_operation, *merged_into, *moved_into}))
    taps, missing = [], list(trace.missing)
    for layer in trace.layers:
        if layer.operation not in trace.values:
            continue
        found = [
            value for value in by_operation.get(layer.operation, []) if _fits(trace, layer.operation, value)
        ]
        if found and layer.operation not in moved_into:
            shape = trace.values[layer.operation][0].shape
            merged = tuple(
                one
                for one in followers[layer.operation]
                if one.operation in trace.values and trace.values[one.operation][0].shape == shape
            )
            taps.append(Tap(layer, found[-1], _choices(shape, found[-1])[0], merged))
        else:
            why = _why_none(layer, by_operation.get(layer.operation, []), merged_into, moved_into)
            missing.append(Missing(layer.module, layer.kind, why))
    return TapsFound(tuple(taps), tuple(missing))


def _fits(trace: Trace, operation: str, value: FileValue) -> bool:
    expected = trace.values.get(operation)
    return expected is not None and bool(_choices(expected[0].shape, value))


def _why_none(
    layer: Layer,
    found: Sequence[FileValue],
    merged_into: Mapping[str, Layer],
    moved_into: Mapping[str, Layer],
) -> str:
    if reader := moved_into.get(layer.operation):
        return f"its scale and shift are part of {reader.kind} of {reader.module or 'the network'}"
    if found:
        shapes = " and ".join(str(value.shape) for value in found)
        return f"the file has it in another form: {shapes}"
    if other := merged_into.get(layer.operation):
        return f"one operator of the file with {other.kind} of {other.module or 'the network'}"
    if layer.moves_only:
        return "it only moves data, and the converter left it out"
    return "the converter left it out or made it part of another operator"


def read_taps(
    trace: Trace,
    taps: Sequence[Tap],
    inputs: Sequence[Mapping[str, Array]],
    carried: Sequence[Mapping[str, Array]],
    forced: Predictor | None,
    bound: float,
    bounds_of: Callable[[Sequence[Tap]], Mapping[str, float]] = lambda _: {},
) -> tuple[LayerReading, ...]:
    """Compare every tap.

    `carried` holds the taps' values that the file computes from its inputs, run by run. `forced` also takes
    the original's values for all taps that are not outputs, and returns what the file computes from them;
    None without `bisect`. `bound` is the largest error, relative to a layer's range, that is not a
    divergence; `bounds_of` gives another one for some operations, from the taps with the layers whose
    values they turned out to hold. Without `bisect` a layer may also be off by a multiple of torch's own
    float32 error there.
    """
    expected = {name: np.stack(arrays) for name, arrays in trace.values.items()}
    taps = [_arranged(tap, expected[tap.layer.operation], carried) for tap in taps]
    settled, alone = [_settled(tap, expected, carried) for tap in taps], None
    if forced is not None:
        alone = _forced(trace, settled, inputs, forced)
        # Carried values mislead behind a defect. Computed from the original's, the nearest value is right.
        again = [_settled(tap, expected, alone) for tap in taps]
        if again != settled:
            settled, alone = again, _forced(trace, again, inputs, forced)
    place = {layer.operation: number for number, layer in enumerate(trace.layers)}
    taps = sorted(settled, key=lambda tap: place[tap.layer.operation])
    spans, bounds = _spans(trace.layers, taps), {} if alone is None else bounds_of(taps)
    readings = []
    for tap in taps:
        operation, wanted = tap.layer.operation, expected[tap.layer.operation]
        judged = _stack(tap, carried)
        decisive = carried_difference = compare_output(operation, wanted, judged)
        own = min(trace.rounding.get(operation, 0.0), OWN_ROUNDING.uncertain)
        difference, allowed = None, max(bound, OWN_ROUNDING.multiple * own)
        if alone is not None:
            allowed = bounds.get(operation, bound)
            judged = _stack(tap, alone)
            decisive = difference = compare_output(operation, wanted, judged)
        diverges = not (decisive.finite and decisive.max_error <= allowed)
        kind = ""
        if diverges:
            another = _as_another_output(trace, tap, expected, judged, allowed)
            kind = another or kind_of(wanted, judged, allowed)
        span = spans[operation]
        readings.append(LayerReading(tap, span, carried_difference, difference, kind, diverges, allowed))
    return tuple(readings)


def arranged_values(trace: Trace, tap: Tap, runs: Sequence[Mapping[str, Array]]) -> tuple[Array, Array]:
    """The expected values of a tap and those of `runs` of the file, in the arrangement that fits best.

    Both are (runs, ...) in the network's shape.
    """
    expected = np.stack(trace.values[tap.layer.operation])
    settled = _settled(_arranged(tap, expected, runs), _stacked(trace, tap), runs)
    return np.stack(trace.values[settled.layer.operation]), _stack(settled, runs)


def _stacked(trace: Trace, tap: Tap) -> dict[str, Array]:
    return {one.operation: np.stack(trace.values[one.operation]) for one in (tap.layer, *tap.merged)}


def _settled(tap: Tap, expected: Mapping[str, Array], runs: Sequence[Mapping[str, Array]]) -> Tap:
    """The tap with the layer whose value is nearest: its own, one merged into it, or a mean held as a sum."""
    choices = [(layer, 1.0) for layer in (tap.layer, *tap.merged)]
    if tap.layer.window > 1:
        choices.append((tap.layer, float(tap.layer.window)))
    if len(choices) == 1:
        return tap
    values = [expected[layer.operation] * np.float32(factor) for layer, factor in choices]
    layer, factor = choices[nearest_choice(values, _stack(tap, runs))]
    return replace(tap, layer=layer, factor=factor)


def missing_after(
    missing: Sequence[Missing], taps: Iterable[Tap], readings: Iterable[LayerReading]
) -> tuple[Missing, ...]:
    """`missing`, corrected for taps whose value turned out to be a layer's that was merged into them."""
    read = {reading.tap.value.name: reading.tap.layer for reading in readings}
    found = {}
    for tap in taps:
        layer = read[tap.value.name]
        if layer != tap.layer:
            why = f"one operator of the file with {layer.kind} of {layer.module or 'the network'}"
            found[layer.module, layer.kind] = Missing(tap.layer.module, tap.layer.kind, why)
    return tuple(found.get((one.module, one.kind), one) for one in missing)


def _forced(
    trace: Trace, taps: Sequence[Tap], inputs: Sequence[Mapping[str, Array]], forced: Predictor
) -> list[dict[str, Array]]:
    return [forced({**sample, **given(trace, taps, run)}) for run, sample in enumerate(inputs)]


def _as_another_output(
    trace: Trace, tap: Tap, expected: Mapping[str, Array], found: Array, allowed: float
) -> str:
    """A description if an output holds the values of another output; else empty."""
    for name, operation in trace.outputs.items() if trace.is_output(tap.layer) else ():
        wanted = expected.get(operation)
        if operation != tap.layer.operation and wanted is not None and wanted.shape == found.shape:
            difference = compare_output(name, wanted, found)
            if difference.finite and difference.max_error <= allowed:
                return f"these are the values of output {name}: outputs swapped"
    return ""


def given(trace: Trace, taps: Iterable[Tap], run: int) -> dict[str, Array]:
    """The original's values of one run in the file's form, for all taps that are not outputs."""
    return {
        tap.value.name: tap.arrangement.to_file(
            trace.values[tap.layer.operation][run] * np.float32(tap.factor)
        )
        for tap in taps
        if not trace.is_output(tap.layer)
    }


def first_divergence(readings: Sequence[LayerReading]) -> LayerReading | None:
    """The first reading in the order of execution that diverges; None if none does."""
    return next((reading for reading in readings if reading.diverges), None)


def _arranged(tap: Tap, expected: Array, runs: Sequence[Mapping[str, Array]]) -> Tap:
    """The tap in the likeliest arrangement, or in another one that fits `FITS` times better."""
    likeliest, *others = (replace(tap, arrangement=one) for one in _choices(expected.shape[1:], tap.value))

    def error(choice: Tap) -> float:
        return float(np.abs(_stack(choice, runs) - expected).max(initial=0.0))

    best = min(others, key=error, default=likeliest)
    return best if FITS * error(best) < error(likeliest) else likeliest


def _choices(shape: tuple[int, ...], value: FileValue) -> list[Arrangement]:
    found = list(arrangements(shape, value.shape))
    return sorted(found, key=lambda one: one.name != value.layout)


def _stack(tap: Tap, runs: Sequence[Mapping[str, Array]]) -> Array:
    held = [np.asarray(run[tap.value.name], np.float32) for run in runs]
    return np.stack([tap.arrangement.to_network(one) for one in held]) / np.float32(tap.factor)


def _spans(layers: Sequence[Layer], taps: Sequence[Tap]) -> dict[str, tuple[str, ...]]:
    """By operation of each tap, the modules of the operations between it and the taps before it."""
    tapped = {tap.layer.operation for tap in taps}
    by_name = {layer.operation: layer for layer in layers}
    spans = {}
    for tap in taps:
        modules: dict[str, None] = {}
        pending = [tap.layer]
        while pending:
            layer = pending.pop(0)
            modules[layer.module] = None
            pending += [by_name[n] for n in layer.reads if n in by_name and n not in tapped]
        spans[tap.layer.operation] = tuple(modules)
    return spans
