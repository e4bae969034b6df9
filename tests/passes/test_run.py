import dataclasses

import pytest
import torch
from networks import Lambda, picture, randomise_batchnorm, tiny_mocovit
from torch import nn

import mocovit_deploy
from mocovit_deploy.errors import ConversionError
from mocovit_deploy.graph.capture import capture
from mocovit_deploy.graph.edit import attribute
from mocovit_deploy.passes import PASSES
from mocovit_deploy.passes.fold_batchnorm import fold_batchnorm
from mocovit_deploy.passes.result import Change, PassResult
from mocovit_deploy.passes.run import BOUND, relative_error, run_passes


def test_proofs_and_counts():
    network = tiny_mocovit()
    result = mocovit_deploy.reparameterize(network, picture())
    assert [proof.name for proof in result.proofs] == list(PASSES)
    assert [len(proof.changes) for proof in result.proofs] == [1, 100, 0, 0, 4]
    assert all(proof.error <= BOUND for proof in result.proofs if proof.changes)
    assert torch.allclose(result.graph(picture()), network(picture()), atol=1e-5)


def test_parameters_after_folding_mocovit_1_0():
    from mocovit_deploy.models.mocovit import build
    from mocovit_deploy.spec import ModelSpec

    folded = fold_batchnorm(capture(build(ModelSpec()), [torch.zeros(1, 3, 32, 32)])).graph
    assert sum(p.numel() for p in folded.parameters()) == 5_287_364


def broken_pass(function):
    """The passes to run: `function`, under the name "broken"."""
    function.__name__ = "broken"
    return [function]


def network():
    return randomise_batchnorm(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)))


def test_one_weight_nudged_is_refused():
    def nudge(graph):
        result = fold_batchnorm(graph)
        with torch.no_grad():
            attribute(result.graph, "0.weight")[0] *= 1 + 1e-7
        return result

    graph = capture(network(), [picture(size=8)])
    with pytest.raises(ConversionError, match="pass broken changes what the network computes"):
        run_passes(graph, [picture(size=8)], broken_pass(nudge))


def test_a_change_that_is_not_reported_is_still_proven():
    def silent(graph):
        graph = fold_batchnorm(graph).graph
        with torch.no_grad():
            attribute(graph, "0.weight")[0] *= 2
        return PassResult(graph)

    with pytest.raises(ConversionError, match="changes what"):
        run_passes(capture(network(), [picture(size=8)]), [picture(size=8)], broken_pass(silent))


def test_nan_is_refused():
    def poison(graph):
        result = fold_batchnorm(graph)
        with torch.no_grad():
            attribute(result.graph, "0.weight")[0] = float("nan")
        return result

    with pytest.raises(ConversionError, match="nan"):
        run_passes(capture(network(), [picture(size=8)]), [picture(size=8)], broken_pass(poison))


def test_a_pass_that_decides_by_precision_is_refused():
    def moody(graph):
        wide = next(graph.parameters()).dtype is torch.float64
        return PassResult(fold_batchnorm(graph).graph, (Change("here", "wide" if wide else "narrow"),))

    with pytest.raises(ConversionError, match="decides otherwise"):
        run_passes(capture(network(), [picture(size=8)]), [picture(size=8)], broken_pass(moody))


def test_a_network_that_is_nan_by_itself_is_named_so():
    poisoned = network()
    with torch.no_grad():
        poisoned[0].weight[0] = float("nan")
    with pytest.raises(ConversionError, match="the network itself computes NaN"):
        mocovit_deploy.reparameterize(poisoned, picture(size=8))


def test_the_proof_does_not_trust_an_example_of_zeros():
    result = mocovit_deploy.reparameterize(network(), torch.zeros(1, 3, 8, 8))
    assert result.proofs[1].error > 0, "rounding on random numbers; zeros would show none"


def test_casts_inside_the_network_are_widened_for_the_proof():
    module = Lambda(
        lambda s, x: s.norm(s.conv(x).to(torch.float32)).half().float(),
        conv=nn.Conv2d(3, 4, 1),
        norm=nn.BatchNorm2d(4),
    )
    result = mocovit_deploy.reparameterize(randomise_batchnorm(module), picture(size=8))
    assert max(proof.error or 0 for proof in result.proofs) <= BOUND


@pytest.mark.parametrize(
    ("expected", "found", "wanted"),
    [
        ([torch.tensor([0.0, 2.0])], [torch.tensor([0.0, 2.2])], 0.1),
        ([torch.tensor([5.0])], [torch.tensor([5.5])], 0.1),
        ([torch.zeros(3)], [torch.zeros(3)], 0.0),
    ],
)
def test_relative_error(expected, found, wanted):
    assert relative_error(expected, found) == pytest.approx(wanted)


@pytest.mark.parametrize(
    "found",
    [
        torch.tensor([float("nan"), 0]),
        torch.tensor([float("inf"), 0]),
        torch.zeros(3),
        torch.zeros(2).double(),
    ],
)
def test_relative_error_is_nan_where_nothing_can_be_compared(found):
    assert relative_error([torch.zeros(2)], [found]) != relative_error([torch.zeros(2)], [found])


def test_results_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Change("a", "b").where = "c"
