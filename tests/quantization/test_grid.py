"""Grids and ranges: 0 is exact, ends are kept, nothing has width 0."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocovit_deploy.quantization.grid import Grid, activation_grid, symmetric_grid, weight_grid
from mocovit_deploy.quantization.observe import BINS, Observed
from mocovit_deploy.quantization.ranges import RULES
from mocovit_deploy.spec import RANGE_RULES

ENDS = st.floats(-1e4, 1e4, width=32)


@given(ENDS, ENDS)
def test_zero_is_a_number_of_the_grid_and_ends_are_within_a_step(low, high):
    low, high = min(low, high), max(low, high)
    grid = activation_grid((low, high))
    assert grid.scale[0] > 0
    assert -128 <= grid.zero_point[0] <= 127
    assert grid.real(np.array([grid.zero_point[0]], np.int8))[0] == 0
    inside = np.linspace(min(low, 0), max(high, 0), 50)
    assert np.abs(grid.real(grid.rounded(inside)) - inside).max() <= grid.scale[0] * 1.01


def test_a_value_that_is_always_zero_gets_a_grid_that_runtimes_take():
    assert activation_grid((0.0, 0.0)).scale[0] > 1e-6
    assert symmetric_grid((0.0, 0.0)).scale[0] > 1e-6
    assert min(weight_grid(np.zeros((3, 2)), 0).scale) > 0


def test_a_range_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        activation_grid((0.0, float("inf")))


def test_weights_have_a_scale_for_each_channel_and_dead_channels_a_small_one():
    weights = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
    weights[2] = 0
    grid = weight_grid(weights, 0)
    stored = grid.rounded(weights)
    assert np.abs(stored).reshape(4, -1).max(1).tolist() == [127, 127, 0, 127]
    assert np.abs(grid.real(stored) - weights).max() <= max(grid.scale) / 2 * 1.001
    assert 0 < grid.scale[2] < min(grid.scale[0], grid.scale[1], grid.scale[3])


def test_int16_is_symmetric():
    grid = activation_grid((-1.0, 3.0), "int16")
    assert grid.zero_point == (0,)
    assert grid.rounded(np.array([3.0, -3.0])).tolist() == [32767, -32767]


def observed(numbers):
    counts = np.histogram(numbers, BINS, (numbers.min(), numbers.max()))[0]
    return Observed(np.array([numbers.min()]), np.array([numbers.max()]), counts, None)


def test_every_rule_is_a_word_of_the_command_line():
    assert tuple(RULES) == RANGE_RULES


def test_rules():
    numbers = np.random.default_rng(0).standard_normal(100_000)
    numbers[0] = 20.0
    one = observed(numbers)
    assert RULES["minmax"](one) == (numbers.min(), 20.0)
    assert RULES["percentile"](one)[1] < 6
    low, high = RULES["mse"](one)
    assert numbers.min() <= low < 0 < high < 20

    def error(bounds):
        grid = activation_grid(bounds)
        return float(((grid.real(grid.rounded(numbers)) - numbers) ** 2).mean())

    assert error((low, high)) < error((numbers.min(), 20.0))
    assert RULES["mse"](observed(np.zeros(5) + 0.0)) == (0.0, 0.0)


def test_a_grid_of_channels_is_along_its_axis():
    grid = Grid((1.0, 10.0), (0, 0), "int8", 1)
    assert grid.rounded(np.array([[5.0, 50.0], [7.0, 200.0]])).tolist() == [[5, 5], [7, 20]]
