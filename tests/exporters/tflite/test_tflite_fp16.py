import dataclasses
import sys

import numpy as np
import pytest

from exporters.tflite.flatbuffer import metadata, model_bytes, read_model, set_metadata
from exporters.tflite.fp16 import KEY, VALUE, allow_half, allows_half, store_half, without_half
from exporters.tflite.run import float_arithmetic, load
from mocovit_deploy.artifacts.golden import read_golden
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.errors import ConversionError
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.parity.verdict import judge_outputs, predict_golden
from mocovit_deploy.spec import ExportRequest, InputSpec, ModelSpec
from mocovit_deploy.terminal.progress import Stages


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    model = ModelSpec("tiny_networks:tiny", input=InputSpec(size=32))
    request = ExportRequest(model, ("tflite",), output_dir=tmp_path_factory.mktemp("half"))
    return export_model(request, Stages()).outcomes[0].artifact


def contents(model):
    return [None if b.data is None else bytes(b.data) for b in model.buffers]


def run(data, inputs):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    return interpreter.get_signature_runner()(**inputs)["logits"]


def test_rewriting_keeps_every_buffer_and_every_bit(artifact):
    data = artifact.path.read_bytes()
    again = model_bytes(read_model(data))
    assert contents(read_model(again)) == contents(read_model(data))
    inputs = {"image": read_golden(artifact).inputs["image"][0]}
    assert np.array_equal(run(again, inputs), run(data, inputs))


def test_weights_outside_the_tables_come_inside(artifact):
    import ai_edge_quantizer  # noqa: F401 - what writes such files

    half = store_half(artifact.path.read_bytes())
    from ai_edge_litert import schema_py_generated as schema

    raw = schema.ModelT.InitFromObj(schema.Model.GetRootAs(half, 0))
    outside = [(b.offset, b.size) for b in raw.buffers if b.offset > 1]
    model = read_model(half)
    assert all(buffer.offset <= 1 for buffer in model.buffers)
    for (offset, size), buffer in zip(
        outside, [m for m, r in zip(model.buffers, raw.buffers, strict=True) if r.offset > 1], strict=True
    ):
        assert bytes(buffer.data) == half[offset : offset + size]
    assert len(model_bytes(model)) > 0.9 * len(half), "nothing was dropped"


def test_weights_are_stored_in_half(artifact):
    from ai_edge_litert import schema_py_generated as schema

    model = read_model(store_half(artifact.path.read_bytes()))
    halves = [t for t in model.subgraphs[0].tensors if t.type == schema.TensorType.FLOAT16]
    assert len(halves) >= 20
    assert all(model.buffers[t.buffer].data is not None for t in halves)


def test_the_mark_is_exactly_the_one_xnnpack_reads(artifact):
    data = artifact.path.read_bytes()
    marked = allow_half(data)
    assert metadata(read_model(marked), KEY) == VALUE == b"fp16accfp16"
    assert allows_half(marked)
    assert not allows_half(data)
    model = read_model(marked)
    set_metadata(model, KEY, b"fp16")
    assert metadata(read_model(model_bytes(model)), KEY) == b"fp16", "an entry is replaced, not added"


@pytest.mark.parametrize("data", [b"", b"nothing", b"\0" * 100])
def test_other_files_are_refused(data):
    with pytest.raises(ConversionError, match="not a TFLite file"):
        read_model(data)


def test_a_verdict_names_the_arithmetic_that_ran_and_the_one_that_did_not(artifact, tmp_path):
    path = tmp_path / "a.tflite"
    path.write_bytes(allow_half(artifact.path.read_bytes()))
    half = dataclasses.replace(artifact, path=path, recipe="fp16")
    predictor, golden = load(half), read_golden(artifact)
    outputs = predict_golden(half, golden, predictor)
    here = judge_outputs(half, golden, outputs, predictor.runtime, predictor.arithmetic)
    assert here.verdict == "pass"
    assert here.not_run == ("" if predictor.arithmetic == "fp16" else "fp16 arithmetic")
    on_arm = judge_outputs(half, golden, outputs, predictor.runtime, "fp16")
    assert on_arm.not_run == ""


def test_manifests_say_what_ran_here_and_in_half_precision(artifact):
    request = ExportRequest(
        ModelSpec("tiny_networks:tiny", input=InputSpec(size=32)),
        ("tflite",),
        precisions=("fp16", "fp16_weights"),
        output_dir=artifact.path.parent,
    )
    for outcome in export_model(request, Stages()).outcomes:
        assert outcome.error is None, outcome.error
        parity = read_manifest(outcome.artifact.path).parity
        assert (parity["verdict"], parity["not_run"]) == ("pass", "")
        decisive = parity if parity["arithmetic"] == "fp16" else parity["half"]
        assert decisive["arithmetic"] == "fp16"


class Rounding:
    """A stand-in for a processor that heeds the mark: outputs move when the mark is there."""

    def __init__(self, model_content):
        self.half = allows_half(model_content)

    def allocate_tensors(self): ...

    def invoke(self): ...

    def set_tensor(self, _index, values):
        self.values = values.astype(np.float16).astype(np.float32) if self.half else values

    def get_tensor(self, _index):
        return self.values

    def get_input_details(self):
        return [{"shape": np.array([1, 8]), "dtype": np.float32, "index": 0}]

    get_output_details = get_input_details


def test_the_arithmetic_is_found_out_by_taking_the_mark_away(artifact, tmp_path):
    plain = artifact.path.read_bytes()
    (tmp_path / "marked").write_bytes(allow_half(plain))
    (tmp_path / "plain").write_bytes(plain)
    assert float_arithmetic(tmp_path / "marked", Rounding) == "fp16"
    assert float_arithmetic(tmp_path / "plain", Rounding) == "fp32"


def test_weights_that_hold_the_bytes_of_the_mark_are_left_alone(artifact):
    model = read_model(allow_half(artifact.path.read_bytes()))
    weights = max(model.buffers, key=lambda buffer: 0 if buffer.data is None else len(buffer.data))
    weights.data = np.frombuffer(VALUE + bytes(weights.data)[len(VALUE) :], np.uint8)
    plain = without_half(model_bytes(model))
    assert not allows_half(plain)
    assert plain.count(VALUE) == 1
    assert metadata(read_model(plain), KEY) == b"-" * len(VALUE), "by the generated reader"


def test_the_mark_is_found_without_the_package_of_the_schema(artifact, monkeypatch):
    """tflite-runtime comes without it, and checks files too."""
    marked = allow_half(artifact.path.read_bytes())
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    assert allows_half(marked)
    assert len(without_half(marked)) == len(marked)


@pytest.mark.parametrize("data", [b"", b"TFL3", bytes(100), b"\xff" * 100])
def test_other_bytes_bear_no_mark(data):
    assert not allows_half(data)
