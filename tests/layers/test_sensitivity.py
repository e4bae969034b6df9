"""Which layers the outputs hardly show, against removing them by hand."""

import pytest
import torch
from tiny_networks import LayerScaled
from torch import nn

from mocovit_deploy.graph.capture import capture
from mocovit_deploy.layers.sensitivity import silent_branches

BOUND = 1e-4


def branches_of(module, *inputs):
    return silent_branches(capture(module.eval(), inputs), inputs, BOUND)


@pytest.fixture
def image():
    return torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def layer_scaled(gamma):
    torch.manual_seed(0)
    module = LayerScaled()
    with torch.no_grad():
        module.gamma.fill_(gamma)
    return module.eval()


def test_a_branch_behind_a_small_scale_is_silent(image):
    module = layer_scaled(1e-5)
    (branch,) = branches_of(module, image)
    assert branch.modules == ("branch", "(network)")
    assert [name.rpartition("_")[0] or name for name in branch.members] == ["conv2d", "mul"]
    with torch.no_grad():
        whole = module(image)
        module.gamma.zero_()
        change = (whole - module(image)).abs().max() / (whole.max() - whole.min())
    assert branch.change == pytest.approx(float(change), rel=1e-2)
    assert 0 < branch.change < BOUND


def test_a_network_alive_in_every_branch_has_none(image):
    assert branches_of(layer_scaled(0.3), image) == ()


class Odd(nn.Module):
    """A dead ReLU, a class that is not differentiable, a softmax that hides the scale before it."""

    def __init__(self):
        super().__init__()
        self.dead, self.scaled, self.classes = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 4)
        self.norm = nn.LayerNorm(6, elementwise_affine=False)
        nn.init.constant_(self.dead.bias, -100.0)

    def forward(self, x):
        y = self.norm(self.scaled(x)) + torch.relu(self.dead(x))
        best = self.classes(x).argmax(-1, keepdim=True)
        return y + best.to(x.dtype)


def test_what_gradients_do_not_show_is_tried():
    torch.manual_seed(0)
    (branch,) = branches_of(Odd(), torch.randn(2, 6))
    assert branch.modules == ("dead", "(network)")
    assert branch.change == 0
