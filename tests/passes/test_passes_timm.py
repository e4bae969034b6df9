"""Capture and passes on the networks of the field: every BatchNorm goes, and every step is proven."""

import contextlib

import pytest
import torch
from networks import picture, randomise_batchnorm

from mocovit_deploy.graph.capture import capture
from mocovit_deploy.graph.edit import BATCH_NORMS, nodes_calling
from mocovit_deploy.passes.run import BOUND, run_passes

NETWORKS = {
    # timm's name: image size, BatchNorms, of which merge_branches takes as branches
    "ghostnet_050": (64, 80, 0),
    "ghostnet_100": (64, 80, 0),
    "ghostnet_130": (64, 80, 0),
    "ghostnetv2_100": (64, 122, 0),
    "ghostnetv3_100": (64, 326, 32),
    "repghostnet_100": (64, 112, 32),
    "mobilenetv3_small_100": (64, 34, 0),
    "mobilenetv3_large_100": (64, 46, 0),
    "mobilevit_xxs": (256, 32, 0),
    "mobilevit_xs": (224, 32, 0),
    "mobilevit_s": (256, 32, 0),
    "efficientvit_b0": (64, 26, 0),
    "efficientvit_b1": (64, 35, 0),
    "efficientvit_b2": (64, 47, 0),
    "efficientvit_b3": (64, 66, 0),
    "efficientvit_l1": (64, 32, 0),
    "efficientnet_b0": (64, 49, 0),
    "efficientnet_b1": (64, 69, 0),
    "mobilenetv4_conv_small": (64, 46, 0),
    "repvgg_a0": (64, 61, 17),
    "mobileone_s1": (64, 99, 34),
    "levit_128s": (224, 52, 0),
    "starnet_s1": (64, 36, 0),
    "fastvit_t8": (64, 70, 24),
    "efficientformerv2_s0": (224, 75, 0),
    "mobilenetv4_hybrid_medium": (64, 96, 0),
}
FACTORS_LEFT = {"levit_128s": 9}
"""Attention's 1/sqrt(d), held by the table of biases that is added behind it."""


@pytest.fixture(scope="module")
def timm():
    # torchvision, which timm imports, may be a build for another torch; its operators are not needed here.
    for name in ("nms", "qnms"):
        with contextlib.suppress(RuntimeError):
            torch.library.define(f"torchvision::{name}", "(Tensor a, Tensor b, float c) -> Tensor")
    return pytest.importorskip("timm", reason="timm is not installed")


def norms_in(graph):
    return len(list(nodes_calling(graph, *BATCH_NORMS)))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_no_batchnorm_is_left(name, timm):
    size, norms, branches = NETWORKS[name]
    torch.manual_seed(0)
    network, x = randomise_batchnorm(timm.create_model(name)), picture(size=size)
    graph = capture(network, [x])
    assert torch.equal(graph(x), network(x))
    assert norms_in(graph) == norms
    result = run_passes(graph, [x])
    folded = next(proof for proof in result.proofs if proof.name == "fold_batchnorm")
    assert len(folded.changes) == norms - branches
    assert len(folded.refusals) == branches
    assert norms_in(result.graph) == 0
    assert len(result.refusals) == FACTORS_LEFT.get(name, 0)
    assert all(proof.error <= BOUND for proof in result.proofs if proof.changes)
