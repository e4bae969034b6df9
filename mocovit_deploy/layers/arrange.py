"""How a value of the network lies in a file: unchanged, with its axes in another order, or reshaped.

(1, 160, 7, 7)   in the network
(1, 7, 7, 160)   in a TFLite file: axes 0 2 3 1
(4, 40, 49)      (1, 4, 40, 49) reshaped: axes of size one are added or removed, neighbours are joined
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from math import prod

import numpy as np

from mocovit_deploy.artifacts.artifact import Array

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Arrangement:
    """From the network's axes to the file's: a permutation, then a reshape."""

    axes: tuple[int, ...]
    network: Shape
    file: Shape

    @property
    def name(self) -> str:
        """Its name for people: "" if unchanged, "nhwc", "axes 0 2 1", "reshaped"."""
        order = "" if self.axes == tuple(range(len(self.axes))) else "axes " + " ".join(map(str, self.axes))
        order = "nhwc" if self.axes == (0, 2, 3, 1) else order
        moved = tuple(self.network[axis] for axis in self.axes)
        return order if moved == self.file else f"{order} reshaped".strip()

    def to_file(self, array: Array) -> Array:
        """One value in the network's shape, in the file's."""
        return np.ascontiguousarray(array.transpose(self.axes)).reshape(self.file)

    def to_network(self, array: Array) -> Array:
        """One value in the file's shape, in the network's."""
        moved = array.reshape([self.network[axis] for axis in self.axes])
        return moved.transpose(np.argsort(self.axes))


def arrangements(network: Shape, file: Shape) -> Iterator[Arrangement]:
    """Every arrangement that turns a value of shape `network` into shape `file`, the likelier first.

    None if the sizes differ. An arrangement never moves only axes of size one.
    """
    if prod(network) != prod(file):
        return
    rank = len(network)
    orders: Sequence[tuple[int, ...]] = [tuple(range(rank))]
    if rank <= 4:
        orders = list(permutations(range(rank)))
    for axes in orders:
        moved = tuple(network[axis] for axis in axes)
        if moved == file or _without_ones(moved) == _without_ones(file) or _joined(moved, file):
            yield Arrangement(axes, network, file)


def _without_ones(shape: Shape) -> Shape:
    return tuple(size for size in shape if size != 1)


def _joined(fine: Shape, coarse: Shape) -> bool:
    """Whether one shape results from the other by joining neighbouring axes."""
    longer, shorter = (fine, coarse) if len(fine) >= len(coarse) else (coarse, fine)
    sizes = iter(longer)
    for wanted in shorter:
        size = 1
        while size < wanted:
            size *= next(sizes, wanted + 1)
        if size != wanted:
            return False
    return all(size == 1 for size in sizes)
