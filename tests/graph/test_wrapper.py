import pytest
import torch
from networks import Lambda
from torch import fx, nn

from mocovit_deploy.errors import ConversionError, UsageError
from mocovit_deploy.graph.capture import capture
from mocovit_deploy.graph.cost import summarize
from mocovit_deploy.graph.edit import module_path
from mocovit_deploy.graph.wrapper import Wrapper
from mocovit_deploy.models.inputs import Inputs
from mocovit_deploy.models.pixels import taking_pixels
from mocovit_deploy.passes.deploy_hooks import run_deploy_hooks
from mocovit_deploy.spec import InputSpec


class Doubled(Wrapper):
    def __init__(self, network):
        super().__init__(network)
        self.register_buffer("factor", torch.tensor(2.0))

    def forward(self, x):
        return self.run(x * self.factor)


class Branch(nn.Module):
    """A network with a child that is called as wrappers call theirs, and a buffer that a wrapper has too."""

    def __init__(self):
        super().__init__()
        self.network = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
        self.register_buffer("factor", torch.tensor(3.0))

    def forward(self, x):
        return self.network(x) * self.factor


PATHS = ["(network)", "network.0", "network.1", "(network)"]


def as_graph(network):
    exported = torch.export.export(network, (torch.ones(1, 4),)).module(check_guards=False)
    return fx.GraphModule(exported, exported.graph)


@pytest.mark.parametrize("wrap", [Doubled, lambda network: Doubled(Doubled(network))])
@pytest.mark.parametrize("of", [lambda network: network, as_graph])
def test_paths_and_parameters_are_the_networks_own(wrap, of):
    network = Branch().eval()
    x = torch.randn(1, 4)
    module = wrap(of(network))
    graph = capture(module, (x,))
    calls = [node for node in graph.graph.nodes if node.op == "call_function"]
    assert [module_path(node) for node in calls][-4:] == PATHS
    names = dict(graph.named_parameters())
    assert sorted(names) == ["network.0.bias", "network.0.weight"]
    assert torch.equal(names["network.0.weight"], network.network[0].weight)
    assert torch.equal(graph(x), module(x))


def test_a_network_without_wrapper_keeps_its_paths():
    calls = [
        node for node in capture(Branch(), (torch.ones(1, 4),)).graph.nodes if node.op == "call_function"
    ]
    assert [module_path(node) for node in calls] == PATHS[1:]


def test_costs_are_told_of_the_layers_of_the_network_behind():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3))
    module, inputs = taking_pixels(network, Inputs(InputSpec(8), None), "net")
    counted = summarize(module, capture(module, inputs.for_capture(0, free_batch=False)))
    assert {layer.layer: layer.parameters for layer in counted.layers} == {"0": 112, "1": 148, "(network)": 0}


def test_refusals_name_the_module_of_the_network_behind():
    def decides(_, x):
        return x if x.sum() > 0 else -x

    network = nn.Sequential(nn.Linear(4, 4), Lambda(decides))
    with pytest.raises(ConversionError, match=r"cannot capture 1 \(Lambda\)"):
        capture(Doubled(network), (torch.ones(1, 4),))
    with pytest.raises(UsageError, match="no module of Sequential has"):
        run_deploy_hooks(Doubled(network))


def test_what_a_graph_cannot_express_is_told_of_the_module_of_the_network_behind():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("seen", torch.zeros(4))

        def forward(self, x):
            self.seen.add_(1)
            return x + self.seen

    network = nn.Sequential(nn.Linear(4, 4), Counting())
    with pytest.raises(ConversionError, match=r"^1: aten::add_ changes the buffer"):
        capture(Doubled(network), (torch.ones(1, 4),))


def test_deploy_hooks_name_the_module_of_the_network_behind():
    class Switching(nn.Linear):
        def switch_to_deploy(self):
            pass

    _, changes = run_deploy_hooks(Doubled(nn.Sequential(Switching(4, 4))))
    assert [change.where for change in changes] == ["0"]
