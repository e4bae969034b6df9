"""Programs saved by torch.export.save."""

import json
import os
import zipfile

import pytest
import torch
from networks import picture
from tiny_networks import tiny
from torch import nn

from mocovit_deploy.errors import UsageError
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.models.load import load_network
from mocovit_deploy.models.seeded import enliven, pictures_like, seeded
from mocovit_deploy.spec import ASSUMED, ExportRequest, InputSpec, ModelSpec, OwnInput
from mocovit_deploy.terminal.progress import Stages


@pytest.fixture(scope="module")
def network():
    with seeded(0):
        module = tiny().eval()
        enliven(module, [(pictures_like(InputSpec(size=32)),)])
    return module


@pytest.fixture(scope="module")
def saved(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("programs") / "tiny.pt2"
    torch.export.save(torch.export.export(network, (picture(size=32),)), path)
    return path


def test_the_same_network_comes_back_with_its_weights_and_its_input(network, saved):
    loaded = load_network(ModelSpec(str(saved)))
    assert loaded.trained
    assert loaded.weights.startswith("tiny.pt2, sha256 ")
    assert loaded.input == InputSpec(size=32, preprocessing=ASSUMED)
    assert loaded.stem == "tiny_32"
    assert (loaded.input_names, loaded.output_names) == (("image",), ("logits",))
    x = picture(size=32, seed=3)
    assert torch.equal(loaded.module(x), network(x))


def test_it_is_exported_like_any_other(saved, tmp_path):
    request = ExportRequest(ModelSpec(str(saved)), formats=("onnx",), output_dir=tmp_path)
    done = export_model(request, Stages())
    assert done.outcomes[0].report.verdict == "pass"
    assert any(
        "transformer.attention" in change.where for proof in done.passes.proofs for change in proof.changes
    )


def test_a_checkpoint_replaces_its_weights(saved, network, tmp_path):
    state = {key: value * 0.5 for key, value in network.state_dict().items()}
    torch.save(state, tmp_path / "half.pt")
    loaded = load_network(ModelSpec(str(saved), checkpoint=tmp_path / "half.pt"))
    assert loaded.weights.startswith("half.pt, sha256")
    assert not torch.equal(loaded.module(picture(size=32)), network(picture(size=32)))


def rewritten(source, target, change):
    """A copy of an archive with `change(name, content)` applied to each member."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return target


def of_another_version(name, content):
    if not name.endswith("models/model.json"):
        return content
    document = json.loads(content)
    return json.dumps(
        {**document, "torch_version": "3.7.0", "schema_version": {"major": 99, "minor": 1}}
    ).encode()


def test_a_program_of_another_torch(saved, tmp_path, capfd):
    path = rewritten(saved, tmp_path / "new.pt2", of_another_version)
    with pytest.raises(
        UsageError, match=r"saved by torch 3\.7\.0 and cannot be read by torch .*schema version"
    ):
        load_network(ModelSpec(str(path)))
    assert capfd.readouterr().err == ""


class Exploit:
    def __reduce__(self):
        return os.mkdir, ("pickled-code-was-run",)


def test_pickled_code_is_not_run_unless_asked_for(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(Exploit(), "evil.pt")
    evil = (tmp_path / "evil.pt").read_bytes()
    path = rewritten(saved, tmp_path / "evil.pt2", lambda name, old: evil if "sample_inputs" in name else old)
    with pytest.raises(UsageError, match="pickled objects.*--unsafe-pickle"):
        load_network(ModelSpec(str(path)))
    assert not (tmp_path / "pickled-code-was-run").exists()
    with pytest.raises(UsageError):
        load_network(ModelSpec(str(path), unsafe_pickle=True))
    assert (tmp_path / "pickled-code-was-run").exists()


def test_training_mode_is_refused(tmp_path):
    for layer in (nn.BatchNorm2d(3), nn.Dropout(0.5)):
        path = tmp_path / "train.pt2"
        torch.export.save(torch.export.export(nn.Sequential(layer).train(), (picture(size=8),)), path)
        with pytest.raises(UsageError, match=r"computes in training mode; call \.eval\(\)"):
            load_network(ModelSpec(str(path)))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"input": OwnInput(size=64)}, "--image-size 64: the network's own example inputs are 1x3x32x32"),
        ({"input": OwnInput(batch=2)}, "--batch 2: "),
        ({"arguments": (("width", "2"),)}, "leave out --model-arg"),
        ({"pretrained": True}, "leave out --pretrained"),
    ],
)
def test_what_a_program_cannot_have(saved, spec, message):
    with pytest.raises(UsageError, match=message):
        load_network(ModelSpec(str(saved), **spec))


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04"])
def test_not_a_program(tmp_path, content):
    (tmp_path / "a.pt2").write_bytes(content)
    with pytest.raises(UsageError, match="not a file that torch.export.save wrote"):
        load_network(ModelSpec(str(tmp_path / "a.pt2")))
    with pytest.raises(UsageError, match="no such file"):
        load_network(ModelSpec(str(tmp_path / "none.pt2")))
