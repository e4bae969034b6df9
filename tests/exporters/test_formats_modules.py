"""Every operation of a file names the torch module it came from, also those that converters make."""

import json

import onnx
import pytest

from exporters import coreml
from exporters.coreml.marks import marks_of
from exporters.coreml.metadata import PREFIX
from exporters.coreml.read import read_program
from exporters.onnx.metadata import MODULE_KEY, OPERATION_KEY
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.models.load import load_network
from mocovit_deploy.spec import ExportRequest, InputSpec, ModelSpec
from mocovit_deploy.terminal.progress import Stages

NETWORKS = (
    "odd_networks:attention",
    pytest.param("tiny_networks:tiny", marks=pytest.mark.slow),
    pytest.param("odd_networks:traced", marks=pytest.mark.slow),
)


@pytest.fixture(scope="module", params=NETWORKS)
def files(request, tmp_path_factory):
    """The network's modules, and its files by format and recipe."""
    model = ModelSpec(request.param, input=InputSpec(size=32))
    asked = ExportRequest(
        model, ("onnx", "coreml"), ("fp32", "fp16"), output_dir=tmp_path_factory.mktemp("modules")
    )
    outcomes = export_model(asked, Stages()).outcomes
    assert not [outcome.error for outcome in outcomes if outcome.error]
    modules = {name for name, _ in load_network(model).module.named_modules()}
    return modules, {(one.format, one.recipe): one.artifact for one in outcomes}


@pytest.mark.parametrize("recipe", ["fp32", "fp16"])
def test_every_onnx_node_names_its_module(files, recipe):
    modules, found = files
    model = onnx.load(found["onnx", recipe].path)
    operations = []
    for node in model.graph.node:
        keys = {entry.key: entry.value for entry in node.metadata_props}
        assert MODULE_KEY in keys, node
        assert keys[MODULE_KEY] in modules
        operations += [keys[OPERATION_KEY]] if OPERATION_KEY in keys else []
        if node.op_type in ("Conv", "Gemm"):
            assert keys[MODULE_KEY]
    assert operations


@pytest.mark.parametrize("recipe", ["fp32", "fp16"])
def test_every_core_ml_operation_names_its_module(files, recipe):
    modules, found = files
    program = read_program(found["coreml", recipe].path)
    named = {value: mark.rpartition(":")[0] for value, mark in marks_of(program).items()}
    named |= json.loads(program.metadata[f"{PREFIX}modules"])
    assert coreml.values(found["coreml", recipe])
    for operation in program.operations:
        assert named[operation.name] in modules
        assert named[operation.name] or operation.kind not in ("conv", "linear")
