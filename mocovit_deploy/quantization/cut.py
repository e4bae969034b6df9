"""Choose int8 or float for every operator at the least total cost, by a minimum cut.

                 float cost                 int8 cost
    int8 side  ------------->  operator  ------------->  float side       the cost is that of all cut edges
                                  ^ |
               conversion cost    | v    conversion cost, once for a value with any number of readers
                                operators that read it

The cost of a labelling is the cost of each operator in its arithmetic, and of one conversion for every value
that is made in one arithmetic and read in the other. This is a sum of submodular terms of two labels each, so
a minimum cut gives exactly the cheapest labelling.

Sources   V. Kolmogorov and R. Zabih, What energy functions can be minimized via graph cuts?, PAMI 26, 2004
          E. A. Dinic, Algorithm for solution of a problem of maximum flow in networks, 1970
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

LEAST = 1e-9
"""The share of all finite costs below which a residual capacity counts as rounding."""


@dataclass(frozen=True, kw_only=True)
class Value:
    """A value between operators, and the cost of converting it."""

    made_by: int | None
    """The number of the operator; None for an input, which is float."""
    read_by: tuple[int, ...]
    """The numbers of the operators that read it."""
    is_output: bool = False
    """Whether it is an output of the file, which is float."""
    conversion: float
    """The cost of one conversion."""


@dataclass(frozen=True, kw_only=True)
class Labelling:
    """The cheapest arithmetic of every operator."""

    int8: frozenset[int]
    """The numbers of the operators that are computed in int8; the others are float."""
    cost: float


def cheapest(
    int8_costs: Sequence[float],
    float_costs: Sequence[float],
    values: Sequence[Value],
    tied: Sequence[tuple[int, int]] = (),
) -> Labelling:
    """The labelling of least cost. Costs are at least 0; infinity forbids an arithmetic.

    The costs of operator i are `int8_costs[i]` and `float_costs[i]`. `tied` operators get the same label. Of
    several labellings with the least cost, the one with most operators in float is returned. Raises
    `ValueError` for a negative cost or NaN, for an operator that is forbidden both arithmetics, and for ties
    that contradict the costs.
    """
    finite = [
        cost for cost in (*int8_costs, *float_costs, *(one.conversion for one in values)) if isfinite(cost)
    ]
    if any(not cost >= 0 for cost in (*int8_costs, *float_costs, *(one.conversion for one in values))):
        raise ValueError("costs are numbers of at least 0")
    never = sum(finite) * 2 + 1
    count = len(int8_costs)
    int8_side, float_side = count, count + 1
    flow = _Flow(count + 2 + 2 * len(values))
    for operator, (as_int8, as_float) in enumerate(zip(int8_costs, float_costs, strict=True)):
        flow.add(int8_side, operator, min(as_float, never))
        flow.add(operator, float_side, min(as_int8, never))
    for first, second in tied:
        flow.add(first, second, never, never)
    for place, value in enumerate(values):
        maker = float_side if value.made_by is None else value.made_by
        readers = [*value.read_by, *([float_side] if value.is_output else [])]
        as_float, as_int8 = count + 2 + 2 * place, count + 3 + 2 * place
        flow.add(maker, as_float, value.conversion)
        flow.add(as_int8, maker, value.conversion)
        for reader in readers:
            flow.add(as_float, reader, never)
            flow.add(reader, as_int8, never)
    cost = flow.maximum(int8_side, float_side, LEAST * max(sum(finite), 1.0))
    if cost >= never:
        raise ValueError("no labelling is allowed")
    reached = flow.reachable(int8_side)
    return Labelling(int8=frozenset(one for one in range(count) if one in reached), cost=cost)


class _Flow:
    """A directed graph with capacities, and the maximum flow through it by Dinic's algorithm."""

    def __init__(self, nodes: int) -> None:
        self.edges: list[list[int]] = [[] for _ in range(nodes)]
        """For each node, the numbers of its edges. The reverse of edge `e` is edge `e ^ 1`."""
        self.ends: list[int] = []
        """The node that each edge leads to."""
        self.left: list[float] = []
        """The residual capacity of each edge."""
        self.least = 0.0

    def add(self, start: int, end: int, capacity: float, back: float = 0.0) -> None:
        """Add an edge with a capacity in each direction."""
        for node, other, amount in ((start, end, capacity), (end, start, back)):
            self.edges[node].append(len(self.ends))
            self.ends.append(other)
            self.left.append(amount)

    def maximum(self, source: int, sink: int, least: float) -> float:
        """The maximum flow from `source` to `sink`; capacities up to `least` count as 0."""
        self.least, total = least, 0.0
        while sink in (levels := self._levels(source)):
            untried = [0] * len(self.edges)
            while sent := self._send(source, sink, levels, untried):
                total += sent
        return total

    def reachable(self, source: int) -> set[int]:
        """The nodes that residual capacity leads to after `maximum`: the source's side of the cut."""
        return set(self._levels(source))

    def _levels(self, source: int) -> Mapping[int, int]:
        levels, waiting = {source: 0}, deque([source])
        while waiting:
            node = waiting.popleft()
            for edge in self.edges[node]:
                end = self.ends[edge]
                if self.left[edge] > self.least and end not in levels:
                    levels[end] = levels[node] + 1
                    waiting.append(end)
        return levels

    def _send(self, source: int, sink: int, levels: Mapping[int, int], untried: list[int]) -> float:
        """Fill one path along rising levels; returns its flow, or 0 if there is no path."""
        path: list[int] = []
        node = source
        while node != sink:
            if untried[node] < len(self.edges[node]):
                edge = self.edges[node][untried[node]]
                end = self.ends[edge]
                if self.left[edge] > self.least and levels.get(end) == levels[node] + 1:
                    path.append(edge)
                    node = end
                else:
                    untried[node] += 1
            elif path:
                node = self.ends[path.pop() ^ 1]
                untried[node] += 1
            else:
                return 0.0
        amount = min(self.left[edge] for edge in path)
        for edge in path:
            self.left[edge] -= amount
            self.left[edge ^ 1] += amount
        return amount
