import dataclasses

import onnx
import pytest

from mocovit_deploy.artifacts.golden import read_golden
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.errors import ConversionError, UsageError
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.formats import format_named
from mocovit_deploy.spec import BATCH, ExportRequest, InputSpec, ModelSpec
from mocovit_deploy.terminal.progress import Stages

TINY = "tiny_networks:tiny"
REQUEST = ExportRequest(ModelSpec(TINY, input=InputSpec(size=32)), formats=("onnx",))


def export(tmp_path, **options):
    outcome = export_model(dataclasses.replace(REQUEST, output_dir=tmp_path, **options), Stages()).outcomes[0]
    if outcome.error:
        raise outcome.error
    return outcome.artifact, onnx.load(outcome.artifact.path)


def test_nodes_carry_their_module_paths_and_no_stack_traces(tmp_path):
    _, model = export(tmp_path)
    modules = {entry.value for node in model.graph.node for entry in node.metadata_props}
    assert {entry.key for node in model.graph.node for entry in node.metadata_props} == {
        "module",
        "operation",
    }
    assert {"stem.0", "transformer.attention.refiner.0", "classifier"} <= modules
    convolutions = [n for n in model.graph.node if n.op_type == "Conv"]
    assert len(convolutions) == 21
    assert all(len(node.metadata_props) == 2 for node in convolutions)


def test_names_opset_and_metadata(tmp_path):
    _, model = export(tmp_path)
    assert [i.name for i in model.graph.input] == ["image"]
    assert [o.name for o in model.graph.output] == ["logits"]
    assert {i.domain: i.version for i in model.opset_import} == {"": 18}
    assert {p.key: p.value for p in model.metadata_props}["weights"] == "as tiny_networks:tiny gives them"
    assert not [n for n in model.graph.node if n.op_type == "BatchNormalization"]
    assert str(tmp_path) not in model.SerializeToString().decode("latin1"), "no paths of this machine"


@pytest.mark.parametrize("opset", [17, 20])
def test_other_opsets(tmp_path, opset):
    artifact, model = export(tmp_path, opset=opset)
    assert next(i.version for i in model.opset_import if i.domain == "") == opset
    assert artifact.parity["verdict"] == "pass"


def test_an_opset_that_cannot_be_reached_is_a_conversion_error(tmp_path):
    network = ModelSpec("odd_networks:attention", input=InputSpec(size=32))
    with pytest.raises(ConversionError, match="has no form in ONNX opset 14"):
        export(tmp_path, model=network, opset=14)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("opset", [3, 9, 99])
def test_an_opset_there_is_not_is_refused_before_any_work(tmp_path, opset):
    with pytest.raises(UsageError, match=f"--opset {opset}: onnx .* writes 14 to"):
        export(tmp_path, opset=opset)
    assert not list(tmp_path.iterdir())


def test_without_onnxsim(tmp_path):
    artifact, _ = export(tmp_path, simplify=False)
    assert artifact.parity["verdict"] == "pass"


def test_a_free_batch(tmp_path):
    artifact, model = export(tmp_path, dynamic_batch=True)
    assert artifact.inputs[0].shape == (BATCH, 3, 32, 32)
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == BATCH
    assert model.graph.output[0].type.tensor_type.shape.dim[0].dim_param == BATCH
    predictor, golden = format_named("onnx").load(artifact), read_golden(artifact)
    five = golden.inputs["image"][:5, 0]
    assert predictor({"image": five})["logits"].shape == (5, 10)
    assert read_manifest(artifact.path).dynamic_batch
    assert artifact.path.name == "tiny_32_bN_fp32.onnx"


def test_a_batch_of_two(tmp_path):
    model = dataclasses.replace(REQUEST.model, input=InputSpec(size=32, batch=2))
    artifact, _ = export(tmp_path, model=model)
    assert artifact.inputs[0].shape == (2, 3, 32, 32)
    assert artifact.parity["verdict"] == "pass"
