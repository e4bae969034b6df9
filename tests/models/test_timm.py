import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mocovit_deploy.errors import MissingToolError, UsageError
from mocovit_deploy.models import timm as source
from mocovit_deploy.models.load import load_network
from mocovit_deploy.spec import InputSpec, ModelSpec, OwnInput, Preprocessing

pytestmark = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is not installed")

SMALL = "timm/mobilenetv3_small_050"


def test_the_data_configuration_becomes_size_and_preprocessing():
    network = load_network(ModelSpec("timm/efficientnet_b1"))
    assert network.input == InputSpec(
        size=240, preprocessing=Preprocessing(scale=1 / 255, mean=(0.5,) * 3, std=(0.5,) * 3)
    )
    assert network.stem == "timm_efficientnet_b1_240"
    assert network.input_names == ("image",)
    assert network.output_names == ("logits",)


def test_pixels_are_not_normalised_for_mobilevit_whatever_the_size():
    network = load_network(ModelSpec("timm/mobilevit_xxs", input=OwnInput(size=64, batch=2)))
    assert network.input.shape == (2, 3, 64, 64)
    assert network.input.preprocessing == Preprocessing(mean=(0.0,) * 3, std=(1.0,) * 3)


def test_an_input_given_in_full_is_taken_to_the_letter():
    asked = InputSpec(size=32, preprocessing=Preprocessing(scale=1.0))
    assert load_network(ModelSpec(SMALL, input=asked)).input == asked


def test_options_classes_and_channels_reach_timm():
    spec = ModelSpec(SMALL, (("drop_rate", "0.5"),), None, 7, InputSpec(size=32, channels=1))
    network = load_network(spec)
    assert network.module.drop_rate == 0.5
    assert network.module(torch.zeros(1, 1, 32, 32)).shape == (1, 7)


def test_a_fixed_input_size_follows_the_one_asked_for():
    spec = ModelSpec("timm/test_vit", input=OwnInput(size=96))
    assert load_network(spec).input.size == 96


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            ModelSpec("timm/ghostnet_10"),
            "no network 'ghostnet_10' among its .*; the closest are .*ghostnet_100",
        ),
        (ModelSpec("timm/"), "no network ''"),
        (ModelSpec(SMALL, (("wdith", "2"),)), "TypeError: .*wdith"),
        (
            ModelSpec("timm/ghostnet_050.no_such_tag", pretrained=True),
            "cannot load its pretrained",
        ),
    ],
)
def test_mistakes(spec, message):
    with pytest.raises(UsageError, match=message) as caught:
        load_network(spec)
    assert "\n" not in str(caught.value)


def test_a_download_that_fails_names_the_way_out(monkeypatch):
    timm = source.import_timm()

    def offline(*_, **__):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(UsageError, match=r"ConnectionError: no route to host.*--checkpoint"):
        load_network(ModelSpec(SMALL, pretrained=True))


def test_pretrained_weights_are_named(monkeypatch):
    timm = source.import_timm()
    real = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained, **options: real(name, **options))
    network = load_network(ModelSpec("timm/mobilenetv3_small_100", pretrained=True, input=InputSpec(size=32)))
    assert network.trained
    assert network.weights == "timm, mobilenetv3_small_100.lamb_in1k"


FAKES = {
    # as on a machine where the compiled library was passed over
    "mismatched": "import torch\ntorch.library.register_fake('torchvision::nms', lambda *a: None)\n",
    "healthy": "__version__ = '0'\n",
    "broken": "import no_such_library\n",
}
MEND = """
import sys, torch
from mocovit_deploy.models.torchvision import importable
from mocovit_deploy.errors import DeployError
try:
    print(importable(), end=" ")
    import torchvision
except DeployError as error:
    print(error)
print(hasattr(torch.ops.torchvision, "nms"))
"""


def mend(torchvision, tmp_path):
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(FAKES[torchvision])
    path = os.pathsep.join([str(tmp_path), str(Path(source.__file__).parents[2])])
    command = [sys.executable, "-c", MEND]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_operators_are_declared_where_torchvision_lacks_them(tmp_path):
    assert mend("mismatched", tmp_path) == "True True"


def test_nothing_is_declared_beside_a_healthy_torchvision(tmp_path):
    assert mend("healthy", tmp_path) == "False False"


def test_another_failure_of_torchvision_is_said(tmp_path):
    out = mend("broken", tmp_path)
    assert "No module named 'no_such_library'" in out
    assert "install the version that belongs to this torch" in out
    assert out.endswith("False")


def test_timm_with_the_torchvision_of_this_machine():
    bare = [sys.executable, "-c", "import torchvision"]
    healthy = subprocess.run(bare, capture_output=True, timeout=120).returncode == 0
    code = (
        "from mocovit_deploy.models import timm as source, torchvision\n"
        "print(torchvision.importable())\n"
        "print(source.import_timm().create_model('test_vit').num_classes)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == [str(not healthy), "1000"], done.stderr


def test_a_missing_timm_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingToolError, match=r"pip install '\.\[timm\]'"):
        source.build(ModelSpec(SMALL))
