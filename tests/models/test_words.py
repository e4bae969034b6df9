"""What the command line's words about a network become."""

from pathlib import Path

import pytest
from networks import picture

from mocovit_deploy.cli import export as commands
from mocovit_deploy.cli import main as cli
from mocovit_deploy.errors import UsageError
from mocovit_deploy.spec import ModelSpec, OwnInput

TINY = ("--model", "tiny_networks:tiny")
HALF = ("--model", "mocovit_0_5")


@pytest.fixture
def spec_of(monkeypatch):
    """The `ModelSpec` that `mocovit-export WORDS` asks for."""
    asked = []
    monkeypatch.setattr(commands, "run_export", lambda request, *_, **__: asked.append(request.model) or 0)

    def parse(*words):
        assert cli._export(list(words)) == 0
        return asked[-1]

    return parse


def test_nothing_said_leaves_everything_to_the_network(spec_of):
    assert spec_of() == ModelSpec()
    assert ModelSpec().input == OwnInput(size=None, batch=None)
    assert ModelSpec().num_classes is None


def test_every_word(spec_of):
    spec = spec_of(
        *(
            "--model",
            "timm/x",
            "--checkpoint",
            "x.pt",
            "--prefer-ema",
            "--unsafe-pickle",
            "--image-size",
            "96",
        ),
        *("--batch", "2", "--num-classes", "7", "--input-names", "a,b", "--output-names", "c"),
        *(
            "--model-arg",
            "width=2",
            "--scale",
            "1/128",
            "--mean",
            "0.5,1",
            "--std",
            "2",
            "--colour-order",
            "bgr",
        ),
    )
    assert spec == ModelSpec(
        name="timm/x",
        arguments=(("width", "2"),),
        checkpoint=Path("x.pt"),
        num_classes=7,
        input=OwnInput(size=96, batch=2, scale=1 / 128, mean=(0.5, 1.0), std=(2.0,), colour_order="BGR"),
        prefer_ema=True,
        unsafe_pickle=True,
        input_names=("a", "b"),
        output_names=("c",),
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--pretrained"], "no pretrained weights are published"),
        ([*TINY, "--pretrained"], "--pretrained is for timm"),
        ([*TINY, "--output-names", "a,b"], "2 names for 1 outputs"),
        (["--model", "light_networks:detector", "--image-size", "64"], "inputs are 1x3x24x40, 1x4"),
        ([*HALF, "--prefer-ema", "--checkpoint", "bare.pt"], "holds no averaged weights"),
        ([*HALF, "--checkpoint", "bare.pt"], "does not fit the network"),
        (["--model", "none.pt2"], "none.pt2: no such file"),
        ([*TINY, "--format", "tflite", "--dynamic", "batch"], "have a fixed batch; leave out --dynamic"),
    ],
)
def test_mistakes_end_in_one_message_and_their_status(words, message, tmp_path, monkeypatch, capfd):
    import torch

    torch.save({"weight": picture(size=4)}, tmp_path / "bare.pt")
    monkeypatch.chdir(tmp_path)
    assert cli.run_command("mocovit-export", cli._export, words) == UsageError.exit_status
    out, err = capfd.readouterr()
    assert out == ""
    assert message in err
    assert "Traceback" not in err
