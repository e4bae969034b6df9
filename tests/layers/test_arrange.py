import numpy as np
import pytest

from mocovit_deploy.layers.arrange import arrangements


@pytest.mark.parametrize(
    ("network", "file", "name"),
    [
        ((1, 8, 4, 5), (1, 8, 4, 5), ""),
        ((1, 8, 4, 5), (1, 4, 5, 8), "nhwc"),
        ((1, 4, 40, 49), (4, 40, 49), "reshaped"),
        ((1, 8, 20), (1, 20, 8), "axes 0 2 1"),
        ((1, 8, 1, 1), (1, 8), "reshaped"),
        ((2, 3, 4), (6, 4), "reshaped"),
        ((1, 2, 3, 4, 5, 6), (1, 2, 3, 4, 5, 6), ""),
    ],
)
def test_the_likeliest_arrangement_and_its_way_back(network, file, name):
    first = next(arrangements(network, file))
    assert first.name == name
    value = np.arange(np.prod(network), dtype=np.float32).reshape(network)
    held = first.to_file(value)
    assert held.shape == file
    assert np.array_equal(first.to_network(held), value)


def test_nhwc_puts_channels_last():
    value = np.arange(24).reshape(1, 2, 3, 4)
    held = next(arrangements((1, 2, 3, 4), (1, 3, 4, 2))).to_file(value)
    assert np.array_equal(held, value.transpose(0, 2, 3, 1))


@pytest.mark.parametrize("file", [(1, 8, 4, 6), (8, 4), (1, 7, 4, 5), (1, 10, 16)])
def test_a_value_of_other_sizes_is_no_arrangement(file):
    assert not list(arrangements((1, 8, 4, 5), file))


def test_where_shapes_leave_a_choice_all_are_offered():
    names = [one.name for one in arrangements((1, 4, 4, 4), (1, 4, 4, 4))]
    assert names[0] == ""
    assert "nhwc" in names
