import pytest
import torch
from networks import picture, tiny_mocovit
from torch import nn

from mocovit_deploy.models.load import load_network
from mocovit_deploy.models.seeded import enliven
from mocovit_deploy.spec import InputSpec, ModelSpec


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


def test_other_normalisations_and_biases_are_not_as_initialised():
    net = nn.Sequential(
        nn.Conv2d(3, 8, 1), nn.GroupNorm(2, 8), nn.Flatten(), nn.Linear(128, 4), nn.LayerNorm(4)
    )
    nn.init.zeros_(net[3].bias)
    enliven(net, [(torch.randn(8, 3, 4, 4),)])
    for norm in (net[1], net[4]):
        assert norm.weight.std() > 1e-2
        assert norm.bias.std() > 1e-2
    assert net[3].bias.abs().min() > 0


class Branch(nn.Module):
    """A residual branch as initialisers silence it, each in its own way."""

    def __init__(self, silence):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.gain = nn.Parameter(torch.ones(8, 1, 1))
        self.on = True
        silence(self)

    def forward(self, x):
        return x + self.gain * self.norm(self.conv(x)) if self.on else x


SILENCES = {
    "layer scale": lambda branch: nn.init.constant_(branch.gain, 1e-5),
    "gain of zero": lambda branch: nn.init.zeros_(branch.gain),
    "last BatchNorm of zero": lambda branch: nn.init.zeros_(branch.norm.weight),
    "weights of zero": lambda branch: nn.init.zeros_(branch.conv.weight),
}


@pytest.mark.parametrize("silence", SILENCES)
def test_every_branch_is_alive(silence):
    torch.manual_seed(0)
    branch = Branch(SILENCES[silence]).eval()
    x = torch.randn(8, 8, 6, 6)
    enliven(branch, [(x,)])
    with torch.no_grad():
        with_it = branch(x)
        branch.on = False
        change = (with_it - branch(x)).abs().max() / (with_it.max() - with_it.min())
    assert change > 0.01
    assert len(branch.gain.unique()) == 8


def test_what_is_not_constant_is_left_alone():
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.PReLU(8))
    with torch.no_grad():
        net[1].weight.copy_(torch.linspace(0.1, 0.3, 8))
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    enliven(net, [(torch.randn(2, 3, 4, 4),)])
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_one_value_per_channel_is_no_reason_to_stop():
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).eval()
    enliven(net, [(torch.randn(1, 3),)])
    assert torch.equal(net[1].running_var, torch.ones(4))
    assert not net[1].training
    assert net(torch.randn(1, 3)).isfinite().all()


def test_a_failing_network_keeps_its_momenta():
    net = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(8, 4, 1))
    with pytest.raises(RuntimeError):
        enliven(net, [(torch.randn(2, 3, 4, 4),)])
    assert net[0].momentum == 0.1
    assert not net[0]._forward_pre_hooks


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["efficientnet_b1", "efficientnet_b0", "ghostnetv3_100", "mobilenetv3_large_100"]
)
def test_rounding_errors_are_not_multiplied(name):
    """In float32 a random network must be its float64 self, far below the tolerance of 1e-5."""
    network = load_network(ModelSpec(f"timm/{name}", input=InputSpec(size=128)))
    (pictures,) = network.inputs.for_parity(seed=0)[1]
    x = torch.from_numpy(pictures[:, 0])
    with torch.no_grad():
        single, double = network.module(x), network.module.double()(x.double())
    assert (single - double).abs().max() < 3e-6 * (double.max() - double.min())


def test_outputs_depend_on_the_input():
    outputs = tiny_mocovit()(picture(batch=8) * torch.linspace(0.2, 2, 8).reshape(8, 1, 1, 1))
    assert outputs.std(dim=0).mean() > 0.01 * (outputs.max() - outputs.min())
