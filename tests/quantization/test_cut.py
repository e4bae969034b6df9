"""The cheapest labelling, against all labellings of small graphs."""

from __future__ import annotations

import itertools
from math import inf, isclose

import numpy as np
import pytest

from mocovit_deploy.quantization.cut import Labelling, Value, cheapest


def cost_of(chosen, int8, floats, values, tied=()):
    """The cost of one labelling, from its definition."""
    if any((a in chosen) != (b in chosen) for a, b in tied):
        return inf
    total = sum(int8[one] if one in chosen else floats[one] for one in range(len(int8)))
    for value in values:
        made_int8 = value.made_by is not None and value.made_by in chosen
        reads = [one in chosen for one in value.read_by] + [False] * value.is_output
        total += value.conversion * any(reads) if not made_int8 else value.conversion * (not all(reads))
    return total


def random_graph(seed):
    draw = np.random.default_rng(seed)
    count = int(draw.integers(1, 9))
    int8, floats = draw.uniform(0, 10, count), draw.uniform(0, 10, count)
    int8[draw.random(count) < 0.2] = inf
    values = [
        Value(
            made_by=None if maker < 0 else maker,
            read_by=tuple(int(one) for one in range(maker + 1, count) if draw.random() < 0.4),
            is_output=bool(draw.random() < 0.2),
            conversion=float(draw.uniform(0, 4)),
        )
        for maker in range(-1, count)
    ]
    tied = (
        [tuple(map(int, draw.choice(count, 2, replace=False)))] if count > 2 and draw.random() < 0.5 else []
    )
    return list(int8), list(floats), values, tied


@pytest.mark.parametrize("seed", range(40))
def test_is_the_cheapest_of_all(seed):
    int8, floats, values, tied = random_graph(seed)
    every = [set(some) for n in range(len(int8) + 1) for some in itertools.combinations(range(len(int8)), n)]
    best = min(cost_of(one, int8, floats, values, tied) for one in every)
    found = cheapest(int8, floats, values, tied)
    assert isclose(found.cost, best, rel_tol=1e-9, abs_tol=1e-9)
    assert isclose(cost_of(found.int8, int8, floats, values, tied), best, rel_tol=1e-9, abs_tol=1e-9)


def test_converts_a_value_once_for_all_that_read_it():
    values = [Value(made_by=0, read_by=(1, 2, 3), conversion=2.0)]
    found = cheapest([5.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 1.0], values)
    assert found == Labelling(int8=frozenset({1, 2, 3}), cost=2.0)


def test_leaves_in_float_what_costs_the_same():
    assert cheapest([1.0], [1.0], []).int8 == frozenset()


def test_refuses_what_cannot_be():
    with pytest.raises(ValueError, match="at least 0"):
        cheapest([-1.0], [1.0], [])
    with pytest.raises(ValueError, match="at least 0"):
        cheapest([float("nan")], [1.0], [])
    with pytest.raises(ValueError, match="no labelling"):
        cheapest([inf], [inf], [])
    with pytest.raises(ValueError, match="no labelling"):
        cheapest([inf, 0.0], [0.0, inf], [], [(0, 1)])


def test_a_long_chain_takes_no_recursion():
    count = 3000
    values = [Value(made_by=one, read_by=(one + 1,), conversion=1.0) for one in range(count - 1)]
    assert cheapest([1.0] * count, [2.0] * count, values).int8 == frozenset(range(count))
