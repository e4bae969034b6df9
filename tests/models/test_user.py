from pathlib import Path

import pytest
import tiny_networks

from mocovit_deploy.errors import UsageError
from mocovit_deploy.models.load import load_network
from mocovit_deploy.spec import InputSpec, ModelSpec

FILE = Path(tiny_networks.__file__)


def load(name, **arguments):
    return load_network(ModelSpec(name, tuple(arguments.items()), input=InputSpec(size=32)))


@pytest.mark.parametrize("name", [f"{FILE}:tiny", "tiny_networks:tiny"])
def test_a_function_in_a_file_or_a_package(name):
    network = load(name, classes="7")
    assert network.name == "tiny"
    assert network.module.classifier.out_features == 7


def test_a_package_where_the_user_stands(tmp_path, monkeypatch):
    (tmp_path / "my_networks.py").write_text("from torch import nn\ndef net(): return nn.Conv2d(3, 4, 1)\n")
    monkeypatch.chdir(tmp_path)
    assert load("my_networks:net").name == "net"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.py:net", "no such file"),
        ("no_such_package:net", "cannot be imported"),
        (f"{FILE}:tinny", "did you mean 'tiny'"),
        (f"{FILE}:not_a_network", "returns something of type str, not a torch.nn.Module"),
        (f"{FILE}:failing", "ValueError: out of cheese"),
    ],
)
def test_mistakes(name, message):
    with pytest.raises(UsageError, match=message):
        load(name)


def test_a_file_that_does_not_run(tmp_path):
    (tmp_path / "broken.py").write_text("import no_such_thing\n")
    with pytest.raises(UsageError, match="cannot be run"):
        load(f"{tmp_path / 'broken.py'}:net")
