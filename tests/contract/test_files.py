"""Files are found when they are what would be exported, and exported when they are not."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from mocovit_deploy.artifacts.golden import golden_path
from mocovit_deploy.artifacts.manifest import manifest_path
from mocovit_deploy.contract import files as build
from mocovit_deploy.contract.files import EXPORTED, FOUND, MISSING, find_made, make
from mocovit_deploy.contract.read import read_contract
from mocovit_deploy.errors import ConversionError, MissingToolError, UsageError
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.models.load import load_network
from mocovit_deploy.spec import InputSpec, ModelSpec
from mocovit_deploy.terminal.progress import Stages

CONTRACT = """
[model.net]
model = "tiny_networks:tiny"
image_size = 32
{more}
[[model.net.file]]
format = "onnx"
precision = "fp32"
max_error = 1e-5
"""
PAIR = ("onnx", "fp32")


def model(folder, more=""):
    (folder / "parity.toml").write_text(CONTRACT.format(more=more))
    return read_contract(folder / "parity.toml").models[0]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    built = make(model(folder), folder, fresh=False, stages=Stages())
    assert built[PAIR].how == EXPORTED
    assert built[PAIR].artifact.path == folder / "net" / "tiny_32_fp32.onnx"
    return folder


@pytest.fixture
def copied(made, tmp_path):
    (tmp_path / "net").mkdir()
    for path in (made / "net").iterdir():
        if path.is_file():
            (tmp_path / "net" / path.name).write_bytes(path.read_bytes())
    return tmp_path


def found(folder, entry):
    return find_made(entry, (folder / "net", folder))


def test_what_was_exported_is_found_and_not_exported_again(made, monkeypatch):
    monkeypatch.setattr(build, "_export", lambda *_: pytest.fail("exported again"))
    built = make(model(made), made, fresh=False, stages=Stages())
    assert (built[PAIR].how, built[PAIR].notes) == (FOUND, ())


def test_what_mocovit_export_wrote_is_found(made, tmp_path):
    entry = model(tmp_path)
    request = dataclasses.replace(entry.request, output_dir=tmp_path, only=(), formats=("onnx",))
    export_model(request, Stages())
    assert found(tmp_path, entry)[PAIR].artifact.path == tmp_path / "tiny_32_fp32.onnx"


@pytest.mark.parametrize(
    "more",
    ["seed = 1", 'model_arg = { classes = "7" }', "num_classes = 10", "opset = 17", "no_simplify = true"],
)
def test_other_words_are_another_file(made, tmp_path, more):
    assert found(made, model(tmp_path, more)) == {}


def test_a_file_of_another_code_or_another_tool_is_not_taken(copied, monkeypatch):
    path = copied / "net" / "tiny_32_fp32.onnx"
    document = json.loads(manifest_path(path).read_text())

    def written(**changes):
        manifest_path(path).write_text(json.dumps({**document, **changes}))
        return found(copied, model(copied))

    assert PAIR in written()
    assert written(tools={**document["tools"], "torch": "1.0"}) == {}
    assert written(source={**document["source"], "code_sha256": "0"}) == {}
    assert written(source=None) == {}
    assert written(golden_sha256="0") == {}
    assert written(schema_version=99) == {}
    assert PAIR in written(tools={**document["tools"], "a-tool-that-is-not-here": "1.0"})


def test_a_checkpoint_that_changed_is_another_file(tmp_path):
    import torch

    def save(seed):
        network = load_network(ModelSpec("tiny_networks:tiny", input=InputSpec(size=32), seed=seed))
        torch.save(network.module.state_dict(), tmp_path / "a.pt")

    save(1)
    entry = model(tmp_path, f'checkpoint = "{tmp_path / "a.pt"}"')
    make(entry, tmp_path, fresh=False, stages=Stages())
    assert PAIR in found(tmp_path, entry)
    save(2)
    assert found(tmp_path, entry) == {}


def test_a_file_without_its_golden_file_is_not_taken(copied):
    golden_path(copied / "net" / "tiny_32_fp32.onnx").unlink()
    assert found(copied, model(copied)) == {}


def test_a_file_that_was_changed_is_judged_as_it_lies(copied):
    path = copied / "net" / "tiny_32_fp32.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    assert found(copied, model(copied))[PAIR].notes == (
        "changed after its export; the verdict is about the changed file",
    )


def test_fresh_exports_what_could_be_found(made, monkeypatch):
    monkeypatch.setattr(build, "_export", lambda _model, pairs, *_: dict.fromkeys(pairs, "anew"))
    assert make(model(made), made, fresh=True, stages=Stages()) == {PAIR: "anew"}


@pytest.mark.parametrize(
    "error", [UsageError("u"), ConversionError("c"), MissingToolError("m"), KeyError("k")]
)
def test_what_stops_an_export_is_kept_for_every_file(tmp_path, monkeypatch, error):
    def fail():
        raise error

    monkeypatch.setattr(build, "import_torch", fail)
    built = make(model(tmp_path), tmp_path, fresh=False, stages=Stages())
    assert (built[PAIR].how, built[PAIR].artifact) == (MISSING, None)
    assert error in (built[PAIR].error, built[PAIR].error.__cause__)


def test_other_json_files_are_passed_over(copied):
    (copied / "net" / "report").write_text("x")
    (copied / "net" / "report.json").write_text('{"kind": "report"}')
    (copied / "net" / "list.json").write_text("[]")
    (copied / "net" / "list").write_text("x")
    assert PAIR in found(copied, model(copied))
    assert found(Path("nowhere"), model(copied)) == {}
