"""The original network from the inside, matched to the re-parameterized graph by value."""

import numpy as np
import pytest
import torch
from torch import nn

from mocovit_deploy.graph.capture import capture
from mocovit_deploy.layers.trace import trace
from mocovit_deploy.models.load import load_network
from mocovit_deploy.spec import InputSpec, ModelSpec


@pytest.fixture(scope="module")
def inside():
    network = load_network(ModelSpec("tiny_networks:tiny", input=InputSpec(size=32), seed=2))
    image = network.inputs.for_capture(0, free_batch=False)[0]
    return network, image, trace(network, capture(network.module, (image,)), [{"image": image.numpy()}])


def test_a_folded_convolution_is_the_batchnorm_behind_it(inside):
    network, image, traced = inside
    conv = next(one for one in traced.layers if one.module == "stem.0")
    assert (conv.kind, conv.original, conv.factor) == ("conv2d", "stem.1", 1.0)
    with torch.no_grad():
        expected = network.module.stem[1](network.module.stem[0](image)).numpy()
    assert np.allclose(traced.values[conv.operation][0], expected, atol=1e-6)


def test_a_scale_that_moved_is_a_factor(inside):
    """1/sqrt(d) of the scores went into t on both of their sides, so t A^T is off by its root, d = 4."""
    *_, traced = inside
    scores, attended = (one for one in traced.layers if one.kind == "matmul")
    assert scores.factor == 1.0
    assert attended.factor == pytest.approx(4**-0.25)


def test_every_layer_is_matched_or_missing_with_a_reason(inside):
    *_, traced = inside
    assert len(traced.values) == len(traced.layers)
    assert {one.kind for one in traced.missing} <= {"conv2d", "mul"}
    assert all(one.why for one in traced.missing)
    assert traced.outputs == {"logits": traced.layers[-1].operation}


def test_a_pass_that_was_left_out_leaves_its_layers(inside):
    network, image, _ = inside
    traced = trace(
        network, capture(network.module, (image,)), [{"image": image.numpy()}], without=("fold_batchnorm",)
    )
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in network.module.modules())
    assert sum(one.kind == "batch_norm" for one in traced.layers) == norms
