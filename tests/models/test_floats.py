"""Networks with weights in another float than float32: taken as they are, computed in float32, said so."""

import re

import numpy as np
import odd_networks
import pytest
import torch

from mocovit_deploy.errors import ConversionError
from mocovit_deploy.graph.capture import capture
from mocovit_deploy.models.floats import in_float32
from mocovit_deploy.models.load import load_network
from mocovit_deploy.spec import InputSpec, ModelSpec, OwnInput

DISTANCES = {
    "bfloat16": ("bfloat16", 1e-3, 3e-2),
    "float16": ("float16", 1e-5, 3e-3),
    "float64": ("float64", 0, 1e-6),
    "casting": ("bfloat16", 1e-3, 3e-2),
    "traced_bfloat16": ("bfloat16", 1e-3, 3e-2),
}


@pytest.mark.parametrize("name", DISTANCES)
def test_they_run_in_float32_from_the_same_weights(name):
    kind, least, most = DISTANCES[name]
    original = getattr(odd_networks, name)()
    before = {key: value.clone() for key, value in original.state_dict().items()}
    asked = OwnInput() if hasattr(original, "example_inputs") else InputSpec(size=32)
    network = load_network(ModelSpec(f"odd_networks:{name}", input=asked))
    images = network.inputs.for_capture(0, free_batch=False)
    with torch.no_grad():
        found = network.module(*images)
        own = original(images[0] if name == "casting" else images[0].to(getattr(torch, kind)))
    distance = float((found.double() - own.double()).abs().max() / (own.max() - own.min()))
    assert found.dtype == torch.float32
    assert least <= distance <= most
    assert re.fullmatch(
        f"{name} has weights in {kind}, but files compute in float32; its outputs differ by "
        r"\de-\d+ of range",
        network.remark,
    )
    assert all(torch.equal(before[key], value) for key, value in original.state_dict().items())
    graph = capture(network.module, images)
    assert np.allclose(graph(*images).detach(), found)
    assert {p.dtype for p in graph.parameters()} == {torch.float32}


def test_others_are_themselves_and_nothing_is_said():
    network = odd_networks.Small()
    assert in_float32(network, [torch.zeros(1, 3, 32, 32)], "small") == (network, "")


def test_a_program_in_another_float(tmp_path):
    original = odd_networks.bfloat16()
    image = torch.randn(1, 3, 32, 32)
    torch.export.save(torch.export.export(original, (image.bfloat16(),)), tmp_path / "net.pt2")
    network = load_network(ModelSpec(str(tmp_path / "net.pt2")))
    with torch.no_grad():
        assert torch.allclose(network.module(image), odd_networks.bfloat16().float()(image), atol=1e-6)


def test_one_that_runs_in_no_way_is_refused_in_one_line():
    with pytest.raises(ConversionError, match="has weights in float16 and does not run in float32") as caught:
        in_float32(odd_networks.float16(), [torch.zeros(1, 4, 32, 32)], "net")
    assert "\n" not in str(caught.value)
