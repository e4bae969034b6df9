import os
import pickle

import pytest
import torch
from networks import picture, tiny_mocovit
from safetensors.torch import save_file

from mocovit_deploy.errors import UsageError
from mocovit_deploy.models.checkpoint import load_checkpoint
from mocovit_deploy.models.load import load_network
from mocovit_deploy.spec import InputSpec, ModelSpec


@pytest.fixture
def network():
    return tiny_mocovit()


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_every_tensor_arrives(tmp_path, network, suffix):
    source = tiny_mocovit()
    for value in source.state_dict().values():
        value.add_(1) if value.is_floating_point() else None
    path = tmp_path / f"weights{suffix}"
    save_file(source.state_dict(), path) if suffix == ".safetensors" else torch.save(
        source.state_dict(), path
    )
    load_checkpoint(network, path)
    wanted = source.state_dict()
    assert all(torch.equal(value, wanted[key]) for key, value in network.state_dict().items())


def test_batch_counters_may_be_missing(tmp_path, network):
    state = {k: v for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "a.pt")
    load_checkpoint(network, tmp_path / "a.pt")


def test_every_mismatch_is_listed_and_nothing_loaded(tmp_path, network):
    state = network.state_dict()
    state["extra.weight"] = torch.zeros(2, 3)
    state["classifier.weight"] = torch.zeros(7, 1280)
    del state["stem.0.weight"]
    before = network.classifier.bias.clone()
    state["classifier.bias"] = before + 1
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(UsageError) as caught:
        load_checkpoint(network, tmp_path / "a.pt")
    message = str(caught.value)
    assert "missing stem.0.weight 4x3x3x3" in message
    assert "unexpected extra.weight 2x3" in message
    assert "classifier.weight has shape 7x1280, the network wants 10x1280" in message
    assert torch.equal(network.classifier.bias, before)


def test_nan_weights_are_named(tmp_path, network):
    state = network.state_dict()
    state["stem.0.weight"] = state["stem.0.weight"] * float("nan")
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(UsageError, match=r"stem\.0\.weight holds NaN"):
        load_checkpoint(network, tmp_path / "a.pt")


class Exploit:
    def __reduce__(self):
        return os.mkdir, ("pickled-code-was-run",)


def test_pickled_code_is_not_run(tmp_path, network, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"stem": Exploit()}, "a.pt")
    (tmp_path / "b.pt").write_bytes(pickle.dumps(Exploit()))
    for name in ("a.pt", "b.pt"):
        with pytest.raises(UsageError, match="a.pt|b.pt"):
            load_checkpoint(network, tmp_path / name)
    assert not (tmp_path / "pickled-code-was-run").exists()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("keep", [0, 10, 1000, -10])
def test_truncated(tmp_path, network, suffix, keep):
    path = tmp_path / f"a{suffix}"
    save_file(network.state_dict(), path) if suffix == ".safetensors" else torch.save(
        network.state_dict(), path
    )
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UsageError, match="damaged|not a"):
        load_checkpoint(network, path)


@pytest.mark.parametrize("content", [[1, 2], {"a": 3}, torch.zeros(3), {"state": {"a": torch.zeros(1)}}])
def test_not_a_state_dict(tmp_path, network, content):
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(UsageError, match="not a state dict"):
        load_checkpoint(network, tmp_path / "a.pt")


@pytest.mark.parametrize(
    ("name", "message"), [("none.pt", "no such file"), ("a.onnx", "not a checkpoint name")]
)
def test_wrong_names(tmp_path, network, name, message):
    with pytest.raises(UsageError, match=message):
        load_checkpoint(network, tmp_path / name)


def test_the_network_says_where_its_weights_came_from(tmp_path):
    spec = ModelSpec("mocovit_0_5", num_classes=10, input=InputSpec(size=32))
    random = load_network(spec)
    assert random.weights == "random, seed 0"
    assert not random.trained
    torch.save(random.module.state_dict(), tmp_path / "mine.pt")
    trained = load_network(ModelSpec("mocovit_0_5", (), tmp_path / "mine.pt", 10, InputSpec(size=32), seed=9))
    assert trained.weights.startswith("mine.pt, sha256 ")
    assert trained.trained
    assert torch.equal(trained.module(picture(size=32)), random.module(picture(size=32)))


def test_unknown_model_suggests_the_closest():
    with pytest.raises(UsageError, match="did you mean 'mocovit_1_0'"):
        load_network(ModelSpec("mocovit_10"))
