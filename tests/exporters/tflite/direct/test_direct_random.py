"""Random networks, written directly, give what PyTorch gives."""

import copy

import numpy as np
import pytest
import torch
from direct_files import agree
from random_graphs import NEVER_TAKEN, RandomNetwork

from mocovit_deploy.passes.run import relative_error


def check(seed, length):
    network = RandomNetwork(seed, length)
    with torch.no_grad():
        single = network(network.example)
        exact = copy.deepcopy(network).double()(network.example.double())
    own = relative_error(exact, [one.double() for one in single])
    error = max(1e-5, 30 * own)  # a LayerNorm of almost equal numbers is ill-conditioned for everybody
    assert np.isfinite(own), network.told
    agree(network, network.example, nchw=True, error=error, outside=NEVER_TAKEN)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_few_random_networks(seed):
    check(seed, 5)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1400))
def test_many_random_networks(seed):
    check(seed, 7)
