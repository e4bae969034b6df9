"""Whose value a marked operator has after a converter merged a scale or a shift into it.

    network   conv2d ------- mul by gamma - add
    file      conv2d, W * gamma, b * gamma - add       marked conv2d, and of the value of mul

    network   avg_pool2d of 3 x 3 - conv2d
    file      sum of 3 x 3 - conv2d, W / 9             marked avg_pool2d, and 9 times its value

The marks do not say it, the values do: of the layer that the mark names and the scales and shifts after it
that the file has no value of, the one whose value is nearest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.layers.original import Layer

SCALES_AND_SHIFTS = ("mul", "div", "add", "sub", "batch_norm")
"""Operations that converters merge into the one before them, where all but one operand are constants."""


def merged_after(layers: Sequence[Layer], present: frozenset[str]) -> dict[str, tuple[Layer, ...]]:
    """By operation: the scales and shifts after it, one reading the other, that may be merged into it.

    `present` holds the operations that the file has values of: a chain ends before the first of them, and
    where a value has several readers.
    """
    constants: set[str] = set()  # computed from weights alone, as a scale brought into another shape
    readers: dict[str, list[Layer]] = {}
    for layer in layers:
        if all(name in constants for name in layer.reads):
            constants.add(layer.operation)
        for name in set(layer.reads):
            readers.setdefault(name, []).append(layer)

    def chain(layer: Layer) -> Iterator[Layer]:
        while len(following := readers.get(layer.operation, [])) == 1:
            (layer,) = following
            varying = [name for name in layer.reads if name not in constants]
            if layer.kind not in SCALES_AND_SHIFTS or len(varying) > 1 or layer.operation in present:
                return
            yield layer

    return {layer.operation: tuple(chain(layer)) for layer in layers}


def nearest_choice(choices: Sequence[Array], found: Array) -> int:
    """The number of the choice that is nearest to `found`, relative to the size of both; the first of equals.

    A value of another size is far away, however wrong both are: scales are told apart behind a defect too.
    """
    found64 = found.astype(np.float64)

    def distance(choice: Array) -> float:
        expected = choice.astype(np.float64)
        size = float(np.linalg.norm(expected) + np.linalg.norm(found64))
        off = float(np.linalg.norm(expected - found64))
        return off / size if np.isfinite(off) and size else float("inf") if off else 0.0

    distances = [distance(choice) for choice in choices]
    return distances.index(min(distances))
