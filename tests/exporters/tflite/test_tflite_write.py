import dataclasses

import pytest

from mocovit_deploy.errors import UsageError
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.spec import ExportRequest, InputSpec, ModelSpec
from mocovit_deploy.terminal.progress import Stages

TINY = "tiny_networks:tiny"
REQUEST = ExportRequest(ModelSpec(TINY, input=InputSpec(size=32)), formats=("tflite",))


@pytest.fixture(scope="module", params=["nhwc", "nchw"])
def artifact(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    outcome = export_model(
        dataclasses.replace(REQUEST, layout=request.param, output_dir=folder), Stages()
    ).outcomes[0]
    assert outcome.error is None, outcome.error
    return outcome.artifact


def test_names_and_layout(artifact):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(artifact.path))
    assert interpreter.get_signature_list() == {
        "serving_default": {"inputs": ["image"], "outputs": ["logits"]}
    }
    shape = (1, 32, 32, 3) if artifact.inputs[0].layout == "nhwc" else (1, 3, 32, 32)
    assert artifact.inputs[0].shape == shape
    assert tuple(interpreter.get_input_details()[0]["shape"]) == shape
    assert artifact.parity["verdict"] == "pass"
    assert artifact.parity["runtime"].startswith("ai-edge-litert ")


def test_one_xnnpack_partition_and_no_batchnorm_left(artifact):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(artifact.path))
    interpreter.allocate_tensors()
    operators = [operator["op_name"] for operator in interpreter._get_ops_details()]
    assert operators.count("DELEGATE") == 1
    split = 5  # by sink_concat: 2 Ghost modules, through squeeze-and-excite
    assert operators.count("CONV_2D") + operators.count("DEPTHWISE_CONV_2D") == 21 + split
    assert operators.count("SOFTMAX") == 1


def test_a_free_batch_is_refused():
    with pytest.raises(UsageError, match="tflite files have a fixed batch"):
        export_model(dataclasses.replace(REQUEST, dynamic_batch=True), Stages())
