"""Every network that must work: captured, folded, counted against published or independent numbers.

The numbers are exact parameter counts, and MACs in millions as (convolutions and linear layers, the same with
attention products), to the digits their sources give; None where no source but ourselves was found.
"""

import importlib.util

import pytest

from mocovit_deploy.graph.capture import capture
from mocovit_deploy.graph.cost import summarize
from mocovit_deploy.graph.edit import BATCH_NORMS, count_calls, module_path, nodes_calling
from mocovit_deploy.models.load import load_network
from mocovit_deploy.passes.run import run_passes
from mocovit_deploy.spec import ModelSpec, OwnInput

slow = pytest.mark.slow
# name, size, parameters in millions, MACs in millions, digits after the point, BatchNorms
SYSTEMS = [
    pytest.param("mocovit_0_5", None, 2.621, (43.86, 45.40), 100, marks=slow),
    ("mocovit_1_0", None, 5.300, (146.73, 149.81), 100),
    pytest.param("mocovit_1_3", None, 7.552, (236.22, 240.21), 100, marks=slow),
    # GhostNet, arXiv:1911.11907: 2.6 M / 42 M, 5.2 M / 141 M, 7.3 M / 226 M
    pytest.param("timm/ghostnet_050", None, 2.587, (42.33, 42.33), 80, marks=slow),
    pytest.param("timm/ghostnet_100", None, 5.183, (141.15, 141.15), 80, marks=slow),
    pytest.param("timm/ghostnet_130", None, 7.359, (227.00, 227.00), 80, marks=slow),
    pytest.param("timm/ghostnetv2_100", None, 6.157, None, 122, marks=slow),
    pytest.param("timm/ghostnetv3_100", None, 8.129, (404, 404), 326, marks=slow),
    # RepGhost, arXiv:2211.06088: 142 M when deployed; this is the training form
    pytest.param("timm/repghostnet_100", None, 4.074, None, 112, marks=slow),
    # MobileNetV3, arXiv:1905.02244
    ("timm/mobilenetv3_small_100", None, 2.543, (56.5, 56.5), 34),
    pytest.param("timm/mobilenetv3_large_100", None, 5.483, (216.6, 216.6), 46, marks=slow),
    pytest.param("timm/mobilenetv4_conv_small", None, 3.774, None, 46, marks=slow),
    # MobileViT, arXiv:2110.02178; a 7x7 map at 224 pixels is resized around 2x2 patches
    ("timm/mobilevit_xxs", 224, 1.272, (255, 301), 32),
    pytest.param("timm/mobilevit_xxs", None, 1.272, (329, 407), 32, marks=slow),
    pytest.param("timm/mobilevit_xs", 224, 2.318, (703, 772), 32, marks=slow),
    pytest.param("timm/mobilevit_xs", None, 2.318, (909, 1026), 32, marks=slow),
    pytest.param("timm/mobilevit_s", 224, 5.579, (1417, 1522), 32, marks=slow),
    pytest.param("timm/mobilevit_s", None, 5.579, (1823, 2001), 32, marks=slow),
    # EfficientViT, arXiv:2205.14756 and mit-han-lab/efficientvit, whose MACs are with attention
    pytest.param("timm/efficientvit_b0", None, 3.410, (None, 100), 26, marks=slow),
    pytest.param("timm/efficientvit_b1", None, 9.102, (511, 519), 35, marks=slow),
    pytest.param("timm/efficientvit_b1", 256, 9.102, (666, 677), 35, marks=slow),
    pytest.param("timm/efficientvit_b1", 288, 9.102, (842, 856), 35, marks=slow),
    pytest.param("timm/efficientvit_b2", None, 24.331, (None, 1585), 47, marks=slow),
    pytest.param("timm/efficientvit_b3", None, 48.646, (None, 3954), 66, marks=slow),
    pytest.param("timm/efficientvit_b3", 256, 48.646, (5071, 5162), 66, marks=slow),
    pytest.param("timm/efficientvit_l1", None, 52.654, (None, 5258), 32, marks=slow),
    # EfficientNet, arXiv:1905.11946
    pytest.param("timm/efficientnet_b0", None, 5.289, (385.8, 385.8), 49, marks=slow),
    pytest.param("timm/efficientnet_b1", None, 7.794, (686.8, 686.8), 69, marks=slow),
    pytest.param("timm/repvgg_a0", None, 9.109, None, 61, marks=slow),
    pytest.param("timm/mobileone_s1", None, 4.825, None, 99, marks=slow),
]


def millions(found: int, expected: float | None) -> bool:
    """Equal to as many digits as `expected` was given with."""
    if expected is None:
        return True
    digits = len(str(expected).partition(".")[2]) if isinstance(expected, float) else 0
    return abs(found / 1e6 - expected) <= 0.5 * 10**-digits + 1e-9


@pytest.mark.parametrize(("name", "size", "parameters", "macs", "batch_norms"), SYSTEMS)
def test_system(name, size, parameters, macs, batch_norms):
    if name.startswith("timm/") and importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed")
    network = load_network(ModelSpec(name, input=OwnInput(size=size)))
    example = network.inputs.for_capture(seed=0, free_batch=False)
    graph = capture(network.module, example)
    total = summarize(network.module, graph).total
    assert total.parameters / 1e6 == pytest.approx(parameters, abs=5.01e-4)
    if macs is not None:
        assert millions(total.macs, macs[0]), total.macs
        assert millions(total.macs + total.attention_macs, macs[1]), total.attention_macs
    assert count_calls(graph, *BATCH_NORMS) == batch_norms

    passes = run_passes(graph, example)
    left = {module_path(node) for node in nodes_calling(passes.graph, *BATCH_NORMS)}
    refused = {refusal.where for proof in passes.proofs for refusal in proof.refusals}
    assert left <= refused, "every BatchNorm is gone, or it is said why not"
    assert all(proof.error is None or proof.error <= 1e-10 for proof in passes.proofs)


def test_the_comparison_of_numbers_can_fail():
    assert millions(146_732_592, 146.73)
    assert not millions(146_732_592, 146.74)
    assert millions(146_732_592, 147)
    assert not millions(146_732_592, 146)
