"""Official checkpoints into timm's networks, proven on the official names and shapes with random values.

Each file in official/ lists the tensors of one official checkpoint in the order of its state dict, and says
which source it was derived from.
"""

import importlib.util
from pathlib import Path

import pytest
import torch

from mocovit_deploy.errors import UsageError
from mocovit_deploy.models.checkpoint import load_checkpoint
from mocovit_deploy.models.layouts import LAYOUTS, layout_of, renamed
from mocovit_deploy.models.timm import import_timm

OFFICIAL = sorted(Path(__file__).parent.joinpath("official").glob("*.txt"))
TRANSLATED = [path for path in OFFICIAL if not path.stem.startswith("ghostnet")]

pytestmark = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is not installed")


def shapes(path):
    """Name -> shape of an official checkpoint, in its order."""
    lines = [line.split() for line in path.read_text().splitlines() if not line.startswith("#")]
    return {name: tuple(map(int, shape.split("x"))) for name, shape in lines}


def random_state(path):
    generator = torch.Generator().manual_seed(0)
    return {name: torch.rand(shape, generator=generator) + 0.1 for name, shape in shapes(path).items()}


def timm_network(path):
    return import_timm().create_model(path.stem).eval()


def without_counters(state):
    return [key for key in state if not key.endswith("num_batches_tracked")]


@pytest.mark.parametrize("path", OFFICIAL, ids=lambda path: path.stem)
def test_every_tensor_arrives_in_the_place_of_its_order(path):
    """timm registers its layers in the official order, so translated names must come in timm's own order."""
    given, network = shapes(path), timm_network(path)
    wanted = network.state_dict()
    layout = layout_of(given, wanted)
    translated = [layout.translate(name) if layout else name for name in given]
    assert translated == without_counters(wanted)
    assert [given[name] for name in given] == [tuple(wanted[name].shape) for name in translated]


@pytest.mark.parametrize("path", OFFICIAL, ids=lambda path: path.stem)
def test_a_file_in_the_official_layout_loads(path, tmp_path):
    state, network = random_state(path), timm_network(path)
    torch.save({"state_dict": state} if "efficientvit" in path.stem else state, tmp_path / "official.pt")
    said = load_checkpoint(network, tmp_path / "official.pt")
    assert ("in the layout of" in said) == (path in TRANSLATED)
    loaded = network.state_dict()
    for given, key in zip(state.values(), without_counters(loaded), strict=True):
        assert torch.equal(loaded[key], given), key


@pytest.mark.parametrize("path", TRANSLATED, ids=lambda path: path.stem)
def test_a_rule_less_is_noticed(path):
    """Every rule is needed by some file: leaving one out must leave a name that does not fit."""
    given = shapes(path)
    wanted = set(without_counters(timm_network(path).state_dict()))
    layout = layout_of(given, wanted)
    for i, (pattern, _) in enumerate(layout.rules):
        fewer = type(layout)(layout.name, layout.recognised_by, layout.rules[:i] + layout.rules[i + 1 :])
        assert set(map(fewer.translate, given)) != wanted, pattern


def test_each_layout_recognises_its_own_files_alone():
    for path in OFFICIAL:
        given = shapes(path)
        own = [layout.name for layout in LAYOUTS if layout_of(given, []) is layout]
        assert len(own) == (path in TRANSLATED)


def test_a_network_that_has_the_official_names_is_left_alone():
    given = shapes(TRANSLATED[0])
    assert layout_of(given, given) is None


def test_no_tensor_is_lost_where_two_would_get_one_name():
    layout = next(one for one in LAYOUTS if "MobileViT" in one.name)
    state = {
        "layer_3.1.fusion.block.conv.weight": torch.zeros(1),
        "layer_3.1.fusion.conv.weight": torch.ones(1),
    }
    assert len(renamed(state, layout)) == 2


def test_another_width_is_refused_with_names_and_shapes(tmp_path):
    narrow = next(path for path in OFFICIAL if path.stem == "mobilevit_xxs")
    torch.save(random_state(narrow), tmp_path / "xxs.pt")
    network = import_timm().create_model("mobilevit_s")
    with pytest.raises(UsageError) as caught:
        load_checkpoint(network, tmp_path / "xxs.pt")
    message = str(caught.value)
    assert "names translated from MobileViT (apple/ml-cvnets)" in message
    details = caught.value.details
    assert "stages.0.0.conv1_1x1.conv.weight has shape 32x16x1x1, but the network needs 64x16x1x1" in details
    wanted, given = network.state_dict(), shapes(narrow)
    differing = [
        k for k, old in zip(without_counters(wanted), given, strict=True) if wanted[k].shape != given[old]
    ]
    assert sum("the network needs" in line for line in details) == len(differing) > 200
