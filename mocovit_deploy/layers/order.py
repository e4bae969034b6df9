"""Values that a file holds in an order of its own which has the same shape as the network's order.

    network   tokens (4, 4, C): place in the patch, patch
    file      (1, 4, 4, C): row, column of the image; the same numbers, interleaved

If its map is 4 x 4, MobileViT's tokens are 4 patches of 4 pixels; with other sizes the shapes alone would
show that the file has an order of its own. Such a value is neither judged nor replaced by the original's,
because the file's next operation expects the file's order. If a defect puts channels in another order, the
value looks alike, but then the layers that read it are wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.layers.original import Layer, Missing, Trace
from mocovit_deploy.layers.symptoms import gain_of_sorting, misplaced
from mocovit_deploy.layers.taps import Tap, TapsFound, arranged_values
from mocovit_deploy.parity.compare import compare_output

GAIN = 8.0
"""A quantized value is in another order if its largest error is this many times smaller when both are sorted.

Over the layers of the networks of examples/digits, static and mixed: at least 11.7 in another order, at most
6.3 in the network's.
"""


def in_known_order(
    trace: Trace,
    taps: Sequence[Tap],
    carried: Sequence[Mapping[str, Array]],
    bound: float,
    *,
    rounded: bool = False,
) -> TapsFound:
    """The taps without those in an order of the file's own, which become missing layers.

    `carried` holds the file's values for each run from its inputs; `bound` is the largest error of a right
    value, relative to its range. With `rounded`, as of quantized files, errors of rounding may hide that a
    value is in another order, or add up beyond the bound in the right one; so what sorting gains decides.
    """
    operations = {tap.layer.operation for tap in taps}
    readers = _readers(trace.layers, operations)
    fine: set[str] = set()
    left_out: dict[str, Tap] = {}
    places = {layer.operation: place for place, layer in enumerate(trace.layers)}
    for tap in sorted(taps, key=lambda one: -places[one.layer.operation]):
        operation = tap.layer.operation
        expected, found = arranged_values(trace, tap, carried)
        difference = compare_output(operation, expected, found)
        right = difference.finite and difference.max_error <= bound
        if rounded:
            moved = gain_of_sorting(expected, found) >= GAIN
        else:
            moved = not right and misplaced(expected, found, bound)
        # An output's order matters to the user.
        if moved and not trace.is_output(tap.layer) and readers[operation] and readers[operation] <= fine:
            left_out[operation] = tap
        if right or operation in left_out:
            fine.add(operation)
    kept = tuple(tap for tap in taps if tap.layer.operation not in left_out)
    why = "the file has it in an order of its own"
    missing = [Missing(tap.layer.module, tap.layer.kind, why) for tap in taps if tap not in kept]
    return TapsFound(kept, tuple(missing))


def _readers(layers: Sequence[Layer], tapped: set[str]) -> dict[str, set[str]]:
    """By tapped operation, the tapped operations that read it with no other tapped one in between."""
    readers: dict[str, set[str]] = {operation: set() for operation in tapped}
    sources: dict[str, set[str]] = {}
    for layer in layers:
        reads = [{name} if name in tapped else sources.get(name, set()) for name in layer.reads]
        sources[layer.operation] = set().union(*reads)
        if layer.operation in tapped:
            for source in sources[layer.operation]:
                readers[source].add(layer.operation)
    return readers
