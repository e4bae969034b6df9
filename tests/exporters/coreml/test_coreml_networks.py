"""Whole networks: the saved file in numpy against the network in torch."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from exporters import coreml
from exporters.coreml.write import write_package
from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.spec import Preprocessing, TensorSpec


def randomised(network: nn.Module) -> nn.Module:
    """BatchNorms as after training: with fresh ones a lost mean, beta or gamma would not show."""
    generator = torch.Generator().manual_seed(1)

    def uniform(like, low, high):
        return torch.rand(like.shape, generator=generator) * (high - low) + low

    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.running_mean, -1, 1),
                (module.running_var, 0.25, 4),
                (module.weight.data, 0.5, 1.5),
                (module.bias.data, -1, 1),
            ):
                tensor.copy_(uniform(tensor, low, high))
    return network.eval().requires_grad_(False)


def errors(network: nn.Module, x: torch.Tensor, folder: Path, recipe: str) -> tuple[float, float]:
    """Largest difference relative to the output's range, and SQNR in dB, of the saved file."""
    expected = network(x).numpy()
    path = folder / f"{recipe}.mlpackage"
    image = TensorSpec("image", tuple(x.shape), "float32")
    logits = TensorSpec("logits", expected.shape, "float32")
    write_package(flat(network, x), (x,), path, recipe=recipe, inputs=(image,), outputs=(logits,))
    artifact = Artifact(path, "coreml", recipe, "m", "w", (image,), (logits,), Preprocessing(), "", "")
    found = coreml.load(artifact)({"image": x.numpy()})["logits"]
    difference = found - expected
    sqnr_db = 10 * np.log10(np.square(expected).sum() / np.square(difference).sum())
    return float(np.abs(difference).max() / np.ptp(expected)), float(sqnr_db)


def flat(network: nn.Module, x: torch.Tensor) -> torch.fx.GraphModule:
    """A functional graph without what coremltools rejects: aliases, no-op slices, metadata assertions."""
    program = torch.export.export(network, (x,)).run_decompositions({})
    graph_module = program.module(check_guards=False)
    assert isinstance(graph_module, torch.fx.GraphModule)
    for node in list(graph_module.graph.nodes):
        name = str(node.target)
        if name == "aten._assert_tensor_metadata.default":
            graph_module.graph.erase_node(node)
        elif name == "aten.alias.default" or (
            name == "aten.slice.Tensor" and node.meta["val"].shape == node.args[0].meta["val"].shape
        ):
            node.replace_all_uses_with(node.args[0])
            graph_module.graph.erase_node(node)
    graph_module.recompile()
    return graph_module


class Attention(nn.Module):
    """Q = K = V with channels first: softmax(t^T t / sqrt(d)) and t A^T, as MoCoViT has it."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.value = nn.Conv2d(channels, channels, 1, bias=False)
        self.refine = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        value = self.value(x)
        batch, channels, height, width = value.shape
        tokens = value.reshape(batch, self.heads, channels // self.heads, height * width)
        scores = tokens.transpose(-1, -2) @ tokens * (channels // self.heads) ** -0.5
        mixed = tokens @ torch.softmax(scores, -1).transpose(-1, -2)
        return x + mixed.reshape(value.shape) + self.refine(value)


def small() -> nn.Module:
    torch.manual_seed(0)
    return randomised(
        nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.Hardswish(),
            nn.Conv2d(16, 16, 3, padding=1, groups=16),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            Attention(16, 4),
            nn.Conv2d(16, 32, 1),
            nn.BatchNorm2d(32),
            nn.SiLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(32, 10),
        )
    )


@pytest.mark.parametrize(("recipe", "bound", "least_sqnr_db"), [("fp32", 1e-5, 100), ("fp16", 5e-3, 45)])
def test_small_network(recipe, bound, least_sqnr_db, tmp_path):
    error, sqnr_db = errors(small(), torch.randn(1, 3, 32, 32), tmp_path, recipe)
    assert error <= bound
    assert sqnr_db >= least_sqnr_db


def test_the_comparison_can_fail(tmp_path):
    """The same network with one convolution weight changed by 2 %."""
    network = small()
    x = torch.randn(1, 3, 32, 32)
    graph = flat(network, x)
    weight = next(p for p in graph.state_dict().values() if p.shape == (32, 16, 1, 1))
    before = network(x).numpy()
    weight.view(-1)[weight.abs().argmax()] *= 1.02
    image = TensorSpec("image", tuple(x.shape), "float32")
    logits = TensorSpec("logits", before.shape, "float32")
    path = tmp_path / "n.mlpackage"
    write_package(graph, (x,), path, recipe="fp32", inputs=(image,), outputs=(logits,))
    artifact = Artifact(path, "coreml", "fp32", "m", "w", (image,), (logits,), Preprocessing(), "", "")
    found = coreml.load(artifact)({"image": x.numpy()})["logits"]
    assert np.abs(found - before).max() / np.ptp(before) > 1e-5


TIMM = (
    ("ghostnet_100", 224),
    ("ghostnetv2_100", 224),
    ("mobilenetv3_large_100", 224),
    ("mobilenetv4_conv_small", 224),
    ("efficientnet_b0", 224),
    ("mobilevit_xxs", 256),
    ("mobilevit_xxs", 224),  # resizes 7 x 7 maps to 8 x 8 and back
    ("efficientvit_b0", 224),
    ("efficientvit_l1", 224),  # tanh GELU
    ("repvgg_a0", 224),
    ("mobileone_s1", 224),
)


@pytest.fixture
def create(monkeypatch):
    """timm's `create_model`, with capture's work on autocast sub-graphs made unnecessary."""
    # torchvision, which timm imports, may be a build for another torch; its operators are not needed here.
    for name in ("nms", "qnms"):
        with contextlib.suppress(RuntimeError):
            torch.library.define(f"torchvision::{name}", "(Tensor a, Tensor b, float c) -> Tensor")
    timm = pytest.importorskip("timm", reason="timm is not installed")
    monkeypatch.setattr(torch, "autocast", lambda *args, **kwargs: contextlib.nullcontext())
    torch.manual_seed(0)
    return lambda name: randomised(timm.create_model(name, exportable=True))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), TIMM)
def test_timm_network(name, size, tmp_path, create):
    error, sqnr_db = errors(create(name), torch.randn(1, 3, size, size), tmp_path, "fp32")
    assert error <= 1e-5
    assert sqnr_db >= 100


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), [("ghostnet_100", 224), ("efficientvit_b0", 224)])
def test_timm_network_in_half(name, size, tmp_path, create):
    error, sqnr_db = errors(create(name), torch.randn(1, 3, size, size), tmp_path, "fp16")
    assert 1e-5 < error <= 2e-3  # below, nothing would have been rounded
    assert sqnr_db >= 55
