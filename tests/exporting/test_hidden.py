"""A defect that the outputs do not show: passed by them, failed by the values of its layers."""

import dataclasses
import json

import pytest
from planting.suite import SURGEONS

from mocovit_deploy.artifacts.golden import read_golden
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.exporting.inside import look_inside
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.formats import format_named
from mocovit_deploy.graph.capture import capture
from mocovit_deploy.layers.branches import judge_branches
from mocovit_deploy.models.load import load_network
from mocovit_deploy.parity.verdict import check_file, with_hidden
from mocovit_deploy.spec import ExportRequest, InputSpec, ModelSpec
from mocovit_deploy.terminal.progress import Stages

FAST = "tflite"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The export of a network with a layer scale of 1e-5, and what its outputs hardly show."""
    request = ExportRequest(
        ModelSpec("tiny_networks:layer_scaled", input=InputSpec(size=16)),
        (FAST,),
        output_dir=tmp_path_factory.mktemp("hidden"),
    )
    done = export_model(request, Stages())
    network = load_network(request.model)
    _, inputs = network.inputs.for_parity(0)
    columns = dict(zip(network.input_names, inputs, strict=True))
    captured = capture(network.module, network.inputs.for_capture(0, free_batch=False))
    return done.outcomes[0], look_inside(network, columns, captured, done.passes, request)


def spoilt(artifact, folder):
    """The file with 1.5 times the weights of the branch; a converter may have merged the scale into them."""
    surgeon = SURGEONS[artifact.format](artifact.path)
    layer = next(one for one in surgeon.layers() if one.mark.startswith(("branch:", ":mul")))
    layer.weight = layer.weight * 1.5
    surgeon.put_back(layer)
    changed = dataclasses.replace(artifact, path=folder / artifact.path.name)
    surgeon.save(changed.path)
    return changed


def test_layers_that_the_outputs_hardly_show_are_judged_by_their_values(exported):
    outcome, _ = exported
    (hidden,) = outcome.report.hidden
    assert outcome.report.verdict == hidden.verdict == "pass"
    assert hidden.modules == ("branch", "(network)")
    assert 0 < hidden.change < 1e-4
    (stored,) = read_manifest(outcome.artifact.path).parity["hidden"]
    assert json.dumps(stored["modules"]) == '["branch", "(network)"]'


def test_a_defect_that_the_outputs_do_not_show_fails(exported, tmp_path):
    outcome, inside = exported
    artifact, golden = spoilt(outcome.artifact, tmp_path), read_golden(outcome.artifact)
    by_outputs = check_file(format_named(FAST), artifact, golden)
    assert by_outputs.verdict == "pass", "this is what they do not show"
    report = with_hidden(by_outputs, judge_branches(artifact, golden, inside))
    assert report.verdict == "fail"
    assert report.reason.startswith("(network) (mul) is off by")
    assert "at the end of a branch of branch, (network); the outputs hardly show it" in report.reason


def test_what_cannot_be_looked_into_is_not_run_and_said(exported):
    outcome, inside = exported
    blind = dataclasses.replace(inside, reference=None, why_not="--deploy-hooks changed it")
    hidden = judge_branches(outcome.artifact, read_golden(outcome.artifact), blind)
    assert [one.verdict for one in hidden] == ["not run"]
    assert "--deploy-hooks" in hidden[0].reason
    assert with_hidden(outcome.report, hidden).verdict == "pass"


def test_a_value_so_far_off_that_the_outputs_would_show_it_is_another_value(exported):
    outcome, inside = exported
    golden = read_golden(outcome.artifact)
    (branch,) = inside.branches
    loud = dataclasses.replace(inside, branches=(dataclasses.replace(branch, change=0.5),))
    assert judge_branches(outcome.artifact, golden, loud)[0].verdict == "pass"
    operation = inside.reference.inside.layers[0].operation  # the first layer's value is nothing like the end
    mistaken = {**inside.reference.inside.values, branch.operation: inside.reference.inside.values[operation]}
    trace = dataclasses.replace(inside.reference.inside, values=mistaken)
    wrong = dataclasses.replace(loud, reference=dataclasses.replace(inside.reference, inside=trace))
    assert judge_branches(outcome.artifact, golden, wrong)[0].verdict == "not run"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["onnx", "coreml"])
def test_other_formats_too(exported, name, tmp_path):
    _, inside = exported
    request = ExportRequest(
        ModelSpec("tiny_networks:layer_scaled", input=InputSpec(size=16)),
        (name,),
        output_dir=tmp_path / "out",
    )
    (outcome,) = export_model(request, Stages()).outcomes
    assert [one.verdict for one in outcome.report.hidden] == ["pass"]
    artifact = spoilt(outcome.artifact, tmp_path)
    (hidden,) = judge_branches(artifact, read_golden(outcome.artifact), inside)
    assert hidden.verdict == "fail"


@pytest.mark.slow
def test_a_random_network_shows_every_branch(tmp_path):
    request = ExportRequest(
        ModelSpec("timm/fastvit_t8", input=InputSpec(size=128)), (FAST,), output_dir=tmp_path
    )
    assert export_model(request, Stages()).outcomes[0].report.hidden == ()


def test_a_value_that_a_rewrite_replaced_is_not_judged(exported):
    outcome, inside = exported
    gone = dataclasses.replace(inside.branches[0], operation="gone")
    changed = dataclasses.replace(inside, branches=(gone,))
    (found,) = judge_branches(outcome.artifact, read_golden(outcome.artifact), changed)
    assert found.verdict == "not run"
    assert "no value in the file can be identified" in found.reason
