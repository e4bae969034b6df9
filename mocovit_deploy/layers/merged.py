"""Which layer's value a marked operator has after a converter merged a scale or a shift into it.

    network   conv2d ------- mul by gamma - add
    file      conv2d, W * gamma, b * gamma - add       marked conv2d, but has the value of mul

    network   avg_pool2d of 3 x 3 - conv2d
    file      sum of 3 x 3 - conv2d, W / 9             marked avg_pool2d, but has 9 times its value

Marks do not record this, so the values decide. The candidates are the layer that the mark names, and the
scales and shifts after it that the file has no value of; the nearest value wins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.layers.original import Layer

SCALES_AND_SHIFTS = ("mul", "div", "add", "sub", "batch_norm")
"""Operations that converters merge into the one before them, if all operands but one are constant."""


def merged_after(layers: Sequence[Layer], present: frozenset[str]) -> dict[str, tuple[Layer, ...]]:
    """By operation, the chain of scales and shifts after it that may be merged into it.

    `present` holds the operations that the file has values of. A chain ends before the first of them, and at
    a value with several readers.
    """
    constants: set[str] = set()  # computed only from weights, such as a reshaped scale
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
    """The index of the choice that is nearest to `found`, relative to the norms of both; the first of equals.

    A value of another magnitude is far away even if both are wrong, so scales are distinguished also behind a
    defect.
    """
    found64 = found.astype(np.float64)

    def distance(choice: Array) -> float:
        expected = choice.astype(np.float64)
        size = float(np.linalg.norm(expected) + np.linalg.norm(found64))
        off = float(np.linalg.norm(expected - found64))
        return off / size if np.isfinite(off) and size else float("inf") if off else 0.0

    distances = [distance(choice) for choice in choices]
    return distances.index(min(distances))
