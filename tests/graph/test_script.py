"""Modules of torch.jit, captured like any other."""

import odd_networks
import pytest
import torch

from mocovit_deploy.errors import ConversionError
from mocovit_deploy.graph.capture import capture
from mocovit_deploy.graph.edit import BATCH_NORMS, count_calls, module_path, nodes_calling
from mocovit_deploy.models.load import load_network
from mocovit_deploy.passes.run import run_passes
from mocovit_deploy.spec import InputSpec, ModelSpec


@pytest.mark.parametrize("name", ["traced", "scripted", "frozen"])
def test_it_computes_the_same_and_its_norms_fold(name):
    network = load_network(ModelSpec(f"odd_networks:{name}", input=InputSpec(size=32)))
    image = network.inputs.for_capture(0, free_batch=False)
    graph = capture(network.module, image)
    with torch.no_grad():
        assert torch.equal(network.module(*image), graph(*image))
    assert network.input_names == ("image",)
    assert count_calls(run_passes(graph, image).graph, *BATCH_NORMS) == 0


def test_layers_name_their_modules():
    network = odd_networks.traced()
    graph = capture(network, [torch.zeros(1, 3, 32, 32)])
    (norm,) = nodes_calling(graph, *BATCH_NORMS)
    assert module_path(norm) == "norm"
    assert all("nn_module_stack" in node.meta for node in graph.graph.nodes if node.op == "call_function")
    assert not network.training


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("scripted_decision", "cond cannot be exported; rewrite this part of forward"),
        ("traced_in_training", "norm computes in training mode; call .eval.. before torch.jit.trace"),
    ],
)
def test_what_cannot_be_taken_is_said_in_one_line(name, message):
    with pytest.raises(ConversionError, match=message) as caught:
        capture(getattr(odd_networks, name)(), [torch.zeros(1, 3, 32, 32)])
    assert "\n" not in str(caught.value)


def test_what_the_converter_cannot_take_says_what_to_do():
    class Sized(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> list[str]:
            return ["a"] * image.shape[0]

    with pytest.raises(ConversionError, match="torch cannot convert the ScriptModule Sized .*export the"):
        capture(torch.jit.script(Sized()), [torch.zeros(1, 3, 4, 4)])


def test_example_inputs_by_name(tmp_path):
    def network():
        scripted = odd_networks.scripted()
        scripted.example_inputs = {"image": torch.zeros(2, 3, 40, 40)}
        return scripted

    odd_networks.scripted_with_example = network
    try:
        assert load_network(ModelSpec("odd_networks:scripted_with_example")).input.shape == (2, 3, 40, 40)
    finally:
        del odd_networks.scripted_with_example
