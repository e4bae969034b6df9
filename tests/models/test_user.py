import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_networks

import mocovit_deploy
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
        (f"{FILE}:not_a_network", "returns an object of type str, not a torch.nn.Module"),
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


FILE_WITH_NEIGHBOUR = """
from torch import nn
import blocks_of_mine

def net(width=1, title: str = "", flag=False, image_size=0):
    import more_of_mine
    assert type(width) is float and title == "2" and flag is True, (width, title, flag)
    network = nn.Conv2d(3, more_of_mine.twice(width), blocks_of_mine.KERNEL)
    network.told_size = image_size
    return network
"""


def test_a_file_imports_its_neighbours_and_arguments_are_literals(tmp_path):
    (tmp_path / "blocks_of_mine.py").write_text("KERNEL = 3\n")
    (tmp_path / "more_of_mine.py").write_text("def twice(width): return int(width * 2)\n")
    (tmp_path / "net.py").write_text(FILE_WITH_NEIGHBOUR)
    before = list(sys.path)
    network = load(f"{tmp_path / 'net.py'}:net", width="2.0", title="2", flag="true")
    assert network.module.out_channels == 4
    assert network.module.told_size == 32, "a function that takes image_size is told"
    assert sys.path == before


TORCHVISION = {
    # As PyPI's library for CUDA behaves beside a CPU build of torch: passed over, and missed later.
    "torchvision/__init__.py": """
import torch
torch.library.register_fake("torchvision::nms", lambda *given: None)
from torchvision import models
""",
    "torchvision/models.py": """
from torch import nn
def small(*, weights=None, progress=True, num_classes=1000):
    return nn.Sequential(nn.Conv2d(3, num_classes, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
def list_models(): return ["small"]
""",
    "mine.py": "from torchvision.models import small\ndef net(): return small(num_classes=5)\n",
}
RUN_TORCHVISION = """
import sys
from mocovit_deploy.errors import UsageError
from mocovit_deploy.models.load import load_network
from mocovit_deploy.spec import ModelSpec, OwnInput
for name, classes in (("torchvision.models:small", 7), ("mine.py:net", None)):
    network = load_network(ModelSpec(name, num_classes=classes, input=OwnInput(size=32)))
    print(network.name, network.module[0].out_channels)
try:
    load_network(ModelSpec("small"))
except UsageError as error:
    print(error)
"""


def test_torchvision_beside_a_torch_that_its_library_does_not_fit(tmp_path):
    (tmp_path / "torchvision").mkdir()
    for name, text in TORCHVISION.items():
        (tmp_path / name).write_text(text)
    path = os.pathsep.join([str(tmp_path), str(Path(mocovit_deploy.__file__).parents[1])])
    done = subprocess.run(
        [sys.executable, "-c", RUN_TORCHVISION],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.splitlines()[:2] == ["small 7", "net 5"], done.stderr
    assert "did you mean torchvision.models:small?" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_network_of_the_torchvision_of_this_machine_in_all_formats(tmp_path):
    """Whether its library fits torch or not, as beside a CPU build of torch."""
    pytest.importorskip("coremltools", reason="coremltools is not installed")
    words = ["--model", "torchvision.models:mobilenet_v3_small", "--image-size", "64", "--num-classes", "5"]
    command = [sys.executable, "-m", "mocovit_deploy", *words, "--output-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("  pass") == 3, done.stdout
    assert (tmp_path / "mobilenet_v3_small_64_fp32.tflite").exists()
