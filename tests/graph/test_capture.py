import pytest
import torch
from networks import Lambda, picture, tiny_mocovit
from torch import fx, nn

import mocovit_deploy
from mocovit_deploy.errors import ConversionError
from mocovit_deploy.graph.capture import capture
from mocovit_deploy.graph.edit import aten, module_path, nodes_calling


class InPlace(nn.Module):
    """Every in-place form that mobile networks use, one of them read again afterwards."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.relu = nn.ReLU(inplace=True)
        self.swish = nn.Hardswish(inplace=True)

    def forward(self, x):
        y = self.conv(x)
        z = self.relu(y)
        y += 1.0  # y and z are one tensor: both see this
        return self.swish(z) * y


class Autocast(nn.Module):
    def __init__(self, enabled):
        super().__init__()
        self.enabled = enabled
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        with torch.autocast("cpu", enabled=self.enabled, dtype=torch.bfloat16):
            y = self.conv(x).float() * 2
        return y.relu()


class NoGrad(nn.Module):
    def forward(self, x):
        with torch.no_grad():
            y = x * 2
        return y + x


NETWORKS = {
    "mocovit": tiny_mocovit,
    "in place": InPlace,
    "autocast off": lambda: Autocast(False),
    "no_grad inside": NoGrad,
    "silu_": lambda: nn.Sequential(nn.Conv2d(3, 3, 1), nn.SiLU(inplace=True)),
    "dropout": lambda: nn.Sequential(nn.Conv2d(3, 3, 1), nn.Dropout(inplace=True)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_graph_is_flat_functional_and_the_same(name):
    network, x = NETWORKS[name]().eval(), picture()
    expected = network(x.clone())
    graph = capture(network, [x])
    for node in graph.graph.nodes:
        assert node.op in ("placeholder", "get_attr", "call_function", "output")
        assert not isinstance(node.target, torch._ops.HigherOrderOperator)
        if node.op == "call_function" and hasattr(node.target, "_schema"):
            assert not node.target._schema.is_mutable, f"{node.target} mutates"
            assert not node.target._schema.name.endswith("_")
    assert torch.equal(graph(x), expected)


def test_nodes_keep_their_module_paths():
    graph = capture(tiny_mocovit(), [picture()])
    convolutions = [n for n in graph.graph.nodes if n.target is aten.conv2d.default]
    assert module_path(convolutions[0]) == "stem.0"
    assert "blocks.12.attention.refiner.0" in {module_path(n) for n in convolutions}


def test_training_flags_are_restored():
    network = tiny_mocovit()
    network.train()
    network.stem.eval()
    capture(network, [picture()])
    assert network.training
    assert network.blocks.training
    assert not network.stem.training


def test_the_batch_can_be_free():
    network = tiny_mocovit()
    graph = capture(network, [picture(batch=2)], dynamic_batch=True)
    x = picture(batch=5)
    assert torch.allclose(graph(x), network(x), atol=1e-6)


class Branching(nn.Module):
    def forward(self, x):
        if x.sum() > 0:  # data-dependent
            return x + 1
        return x - 1


def test_data_dependent_control_flow_names_module_and_line():
    network = nn.Sequential(nn.Conv2d(3, 3, 1), Branching())
    with pytest.raises(ConversionError) as caught:
        capture(network, [picture()])
    message = str(caught.value)
    assert "1 (Branching)" in message
    assert "test_capture.py:" in message
    assert "if x.sum() > 0:" in message
    assert "\n" not in message


def test_an_error_in_forward_names_its_line():
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Linear(5, 2))
    with pytest.raises(ConversionError, match=r"1 \(Linear\)"):
        capture(network, [picture()])


def test_a_mutation_seen_through_a_view_is_followed():
    def forward(_self, x):
        y = x * 2
        flat = y.flatten(1)
        y.relu_()
        return y.sum() + flat.sum()

    graph = capture(Lambda(forward), [picture()])
    assert torch.equal(graph(picture()), forward(None, picture()))


def test_what_is_read_for_its_shape_alone_is_a_constant():
    network = Lambda(lambda _self, x: torch.hypot(x, torch.full_like(x, 0.5)) + torch.ones_like(x))
    graph = capture(network, [picture()])
    assert torch.equal(graph(picture()), network(picture()))
    assert {str(node.target) for node in graph.graph.nodes if not node.all_input_nodes} >= {
        "aten.full.default"
    }
    assert not any("_like" in str(node.target) for node in graph.graph.nodes)


def test_mutating_an_input_is_refused():
    with pytest.raises(ConversionError, match="changes an input in place"):
        capture(Lambda(lambda _self, x: x.relu_() + 1), [picture()])


def test_enabled_autocast_is_refused():
    with pytest.raises(ConversionError, match="autocast is enabled"):
        capture(Autocast(True), [picture()])


def test_control_flow_operators_are_refused():
    def forward(_self, x):
        return torch.cond(x.sum() > 0, lambda t: t + 1, lambda t: t - 1, (x,))

    with pytest.raises(ConversionError, match="cond cannot be exported|torch.export cannot capture"):
        capture(Lambda(forward), [picture()])


def test_the_graph_is_an_ordinary_module(tmp_path):
    result = mocovit_deploy.reparameterize(tiny_mocovit(), picture())
    graph, x = result.graph, picture()
    torch.save(graph, tmp_path / "graph.pt")
    again = torch.load(tmp_path / "graph.pt", weights_only=False)
    assert isinstance(again, fx.GraphModule)
    assert torch.equal(again(x), graph(x))
    state = {key: value + 0.01 for key, value in graph.state_dict().items()}
    graph.load_state_dict(state)
    assert not torch.equal(again(x), graph(x))


def test_the_graph_can_be_fine_tuned():
    graph = mocovit_deploy.reparameterize(tiny_mocovit(), picture(batch=4)).graph
    graph.train()
    optimizer = torch.optim.SGD(graph.parameters(), lr=1e-4)
    x, labels = picture(batch=4), torch.tensor([0, 1, 2, 3])
    losses = []
    for _ in range(5):
        loss = nn.functional.cross_entropy(graph(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    assert all(p.grad is not None for p in graph.parameters())
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", ["reshape_as", "view_as"])
def test_shapes_taken_from_another_tensor_are_written_out(name):
    network = Lambda(lambda s, x: getattr(x.relu().flatten(1), name)(x))
    graph = capture(network, [picture(batch=2, size=4)], dynamic_batch=True)
    (reshape,) = nodes_calling(graph, aten.reshape.default)
    assert reshape.args[1] == [-1, 3, 4, 4]
    assert torch.equal(graph(picture(batch=5, size=4)), picture(batch=5, size=4).relu())
