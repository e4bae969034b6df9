import torch
from networks import picture, tiny_mocovit
from torch import nn


def test_weights_depend_on_the_seed_alone():
    torch.manual_seed(5)
    first = tiny_mocovit().state_dict()
    torch.manual_seed(6)
    second = tiny_mocovit().state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_the_callers_random_state_is_untouched():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    tiny_mocovit()
    assert torch.equal(before, torch.random.get_rng_state())


def test_no_batchnorm_is_the_identity():
    for norm in tiny_mocovit().modules():
        if isinstance(norm, nn.BatchNorm2d):
            assert not norm.training
            assert norm.momentum == 0.1
            assert norm.running_mean.abs().max() > 1e-3
            assert (norm.weight - 1).abs().max() > 1e-2
            assert norm.bias.abs().max() > 1e-2


def test_outputs_depend_on_the_input():
    outputs = tiny_mocovit()(picture(batch=8) * torch.linspace(0.2, 2, 8).reshape(8, 1, 1, 1))
    assert outputs.std(dim=0).mean() > 0.01 * (outputs.max() - outputs.min())
