import os
import pickle

import pytest
import torch
from networks import picture, tiny_mocovit
from safetensors.torch import save_file
from torch import nn

from mocovit_deploy.errors import UsageError
from mocovit_deploy.models.checkpoint import load_checkpoint
from mocovit_deploy.models.load import load_network
from mocovit_deploy.models.statedict import AVERAGED, PREFIXES, WEIGHTS
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
    assert "a.pt: does not fit the network: 1 missing, 1 unexpected, 1 of another shape; nothing" in message
    assert "\n" not in message
    assert caught.value.details == (
        "missing stem.0.weight 4x3x3x3",
        "unexpected extra.weight 2x3",
        "classifier.weight has shape 7x1280, but the network needs 10x1280",
    )
    assert torch.equal(network.classifier.bias, before)


def test_nan_weights_are_named(tmp_path, network):
    state = network.state_dict()
    state["stem.0.weight"] = state["stem.0.weight"] * float("nan")
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(UsageError, match="1 not finite") as caught:
        load_checkpoint(network, tmp_path / "a.pt")
    assert caught.value.details == ("stem.0.weight holds NaN or infinity",)


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


@pytest.mark.parametrize(
    "content", [[1, 2], {}, {"a": 3}, torch.zeros(3), {"state": {"a": torch.zeros(1)}}, {"model": {"a": 3}}]
)
def test_not_a_state_dict(tmp_path, network, content):
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(UsageError, match="not a state dict"):
        load_checkpoint(network, tmp_path / "a.pt")


def halved(state):
    return {key: value / 2 if value.is_floating_point() else value for key, value in state.items()}


@pytest.mark.parametrize("key", WEIGHTS + AVERAGED)
@pytest.mark.parametrize(
    "around", [lambda state: state, lambda state: {"module": state}, lambda state: {0.99: state}]
)
def test_a_state_dict_beside_other_things(tmp_path, network, key, around):
    state = halved(tiny_mocovit().state_dict())
    torch.save({"epoch": 3, "optimizer": {"lr": 0.1}, key: around(state)}, tmp_path / "a.pt")
    assert load_checkpoint(network, tmp_path / "a.pt") == f" [{key}]"
    assert torch.equal(network.state_dict()["stem.0.weight"], state["stem.0.weight"])


@pytest.mark.parametrize(("prefer_ema", "expected"), [(False, "state_dict"), (True, "state_dict_ema")])
def test_the_average_is_taken_when_asked_for(tmp_path, network, prefer_ema, expected):
    state = tiny_mocovit().state_dict()
    torch.save({"state_dict_ema": halved(state), "state_dict": state}, tmp_path / "a.pt")
    assert load_checkpoint(network, tmp_path / "a.pt", prefer_ema=prefer_ema) == f" [{expected}]"
    wanted = (halved(state) if prefer_ema else state)["stem.0.weight"]
    assert torch.equal(network.state_dict()["stem.0.weight"], wanted)


@pytest.mark.parametrize("content", [lambda state: state, lambda state: {"state_dict": state}])
def test_an_average_that_is_not_there(tmp_path, network, content):
    torch.save(content(network.state_dict()), tmp_path / "a.pt")
    with pytest.raises(UsageError, match="holds no averaged weights .*--prefer-ema"):
        load_checkpoint(network, tmp_path / "a.pt", prefer_ema=True)


@pytest.mark.parametrize("prefix", [*PREFIXES, "module._orig_mod.", "model.module."])
def test_prefixes_that_every_key_has_are_dropped(tmp_path, network, prefix):
    state = halved(tiny_mocovit().state_dict())
    torch.save({f"{prefix}{key}": value for key, value in state.items()}, tmp_path / "a.pt")
    load_checkpoint(network, tmp_path / "a.pt")
    assert torch.equal(network.state_dict()["stem.0.weight"], state["stem.0.weight"])


def test_a_prefix_that_only_some_keys_have_stays(tmp_path, network):
    state = {
        (f"backbone.{key}" if key.startswith("b") else key): v for key, v in network.state_dict().items()
    }
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(UsageError, match="missing, .* unexpected") as caught:
        load_checkpoint(network, tmp_path / "a.pt")
    assert any(line.startswith("unexpected backbone.blocks") for line in caught.value.details)


def test_a_prefix_of_the_networks_own_stays(tmp_path):
    network = nn.Sequential()
    network.add_module("model", nn.Linear(2, 2))
    torch.save(halved(network.state_dict()), tmp_path / "a.pt")
    load_checkpoint(network, tmp_path / "a.pt")


def test_counters_of_a_profiler_are_passed_over(tmp_path, network):
    state = {**network.state_dict(), "total_ops": torch.zeros(1), "stem.0.total_params": torch.zeros(1)}
    torch.save(state, tmp_path / "a.pt")
    load_checkpoint(network, tmp_path / "a.pt")


def test_unsafe_pickle_reads_whole_networks_and_says_what_it_risks(tmp_path, network):
    whole = tiny_mocovit()
    whole.stem[0].weight.data.mul_(2)
    torch.save({"model": whole}, tmp_path / "a.pt")
    with pytest.raises(UsageError, match="--unsafe-pickle runs the code in the file"):
        load_checkpoint(network, tmp_path / "a.pt")
    load_checkpoint(network, tmp_path / "a.pt", unsafe_pickle=True)
    assert torch.equal(network.stem[0].weight, whole.stem[0].weight)


@pytest.mark.parametrize(
    ("name", "message"), [("none.pt", "no such file"), ("a.onnx", "not a checkpoint's name")]
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
