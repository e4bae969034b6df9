import dataclasses
import json
from pathlib import Path

import pytest

from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.manifest import manifest_path, read_manifest, write_manifest
from mocovit_deploy.artifacts.provenance import (
    NOT_REMEMBERED,
    code_digest,
    model_from_json,
    model_of,
    provenance_of,
)
from mocovit_deploy.errors import UsageError
from mocovit_deploy.files import digest
from mocovit_deploy.spec import ExportRequest, InputSpec, ModelSpec, OwnInput, Preprocessing

SPECS = (
    ModelSpec(),
    ModelSpec(
        "mocovit_0_5",
        arguments=(("num_heads", "2"),),
        num_classes=10,
        input=OwnInput(size=96, batch=2),
        seed=3,
        prefer_ema=True,
        input_names=("picture",),
        output_names=("a", "b"),
    ),
    ModelSpec(
        "timm/ghostnet_100",
        pretrained=True,
        input=InputSpec(32, 1, 4, Preprocessing(1.0, (0.5,), (2.0,), "BGR")),
    ),
)


def artifact_of(spec, folder):
    path = folder / "net.onnx"
    path.write_bytes(b"a file")
    made = Artifact(
        path,
        "onnx",
        "fp32",
        "net",
        "random",
        (),
        (),
        Preprocessing(),
        digest(path),
        "0" * 64,
        source=provenance_of(ExportRequest(spec)),
    )
    write_manifest(made)
    return read_manifest(path)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_a_network_comes_back_from_a_manifest_equal(spec, tmp_path):
    assert model_of(artifact_of(spec, tmp_path)) == spec


def test_every_field_of_a_model_is_in_the_manifest():
    names = {field.name for field in dataclasses.fields(ModelSpec)} - set(NOT_REMEMBERED)
    assert set(provenance_of(ExportRequest(ModelSpec()))["model"]) == names


def test_a_checkpoint_is_known_by_its_digest_and_another_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.safetensors").write_bytes(b"weights")
    spec = ModelSpec(checkpoint=Path("mine.safetensors"))
    made = artifact_of(spec, tmp_path)
    assert made.source["files"] == {"mine.safetensors": digest(tmp_path / "mine.safetensors")}
    assert model_of(made) == spec
    Path("mine.safetensors").write_bytes(b"other weights")
    with pytest.raises(UsageError, match="mine.safetensors has changed"):
        model_of(made)
    Path("mine.safetensors").unlink()
    with pytest.raises(UsageError, match="which does not exist here"):
        model_of(made)


@pytest.mark.parametrize("name", ["nets/mine.py:net", "nets.mine:net"])
def test_the_users_own_file_is_known_by_its_digest(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("nets").mkdir()
    Path("nets/__init__.py").write_text("raise ValueError('imported')")
    Path("nets/mine.py").write_text("raise ValueError('imported')")
    before = provenance_of(ExportRequest(ModelSpec(name)))
    assert list(before["files"].values()) == [digest(tmp_path / "nets" / "mine.py")]
    Path("nets/mine.py").write_text("changed")
    assert provenance_of(ExportRequest(ModelSpec(name))) != before


def test_a_module_that_is_not_there_has_no_file():
    assert provenance_of(ExportRequest(ModelSpec("nowhere.at_all:net")))["files"] == {}


def test_options_of_an_export_are_part_of_its_source():
    plain = provenance_of(ExportRequest(ModelSpec()))
    assert provenance_of(ExportRequest(ModelSpec())) == plain
    for change in ({"layout": "nchw"}, {"opset": 17}, {"without": ("fold_scale",)}, {"simplify": False}):
        assert provenance_of(ExportRequest(ModelSpec(), **change)) != plain
    assert json.loads(json.dumps(plain)) == plain
    assert plain["code_sha256"] == code_digest()


def test_a_manifest_of_an_older_version_is_read_and_says_what_it_lacks(tmp_path):
    made = artifact_of(ModelSpec(), tmp_path)
    document = json.loads(manifest_path(made.path).read_text())
    del document["source"]
    manifest_path(made.path).write_text(json.dumps(document))
    assert read_manifest(made.path).source is None
    with pytest.raises(UsageError, match="does not record the network"):
        model_of(read_manifest(made.path))


@pytest.mark.parametrize(
    "damage",
    [
        {},
        {"model": {}, "files": {}},
        {"model": {"name": "x"}, "files": {}},
        {"model": None, "files": {}},
        {"model": [], "files": []},
    ],
)
def test_a_damaged_source_is_one_line(damage, tmp_path):
    made = dataclasses.replace(artifact_of(ModelSpec(), tmp_path), source=damage)
    with pytest.raises(UsageError, match="export again"):
        model_of(made)


def test_an_unknown_kind_of_input_is_refused():
    document = provenance_of(ExportRequest(ModelSpec()))["model"] | {"input": {"kind": "guessed"}}
    with pytest.raises(ValueError, match="guessed"):
        model_from_json(document)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", 5),
        ("seed", "0"),
        ("unsafe_pickle", True),
        ("pretrained", 1),
        ("num_classes", 1.5),
        ("checkpoint", []),
        ("new", 1),
    ],
)
def test_a_field_of_another_type_is_refused(field, value):
    document = provenance_of(ExportRequest(ModelSpec()))["model"] | {field: value}
    with pytest.raises((TypeError, ValueError)):
        model_from_json(document)
