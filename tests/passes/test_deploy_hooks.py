import copy

import pytest
import torch
from networks import picture
from torch import nn

from mocovit_deploy.cli import main as cli
from mocovit_deploy.errors import ConversionError, UsageError
from mocovit_deploy.graph.capture import capture
from mocovit_deploy.passes.deploy_hooks import BOUND, HOOKS, prove, run_deploy_hooks


class Branches(nn.Module):
    """3x3 and 1x1 side by side, in RepVGG's manner; `off` is what its own fusion adds by mistake."""

    def __init__(self, off: float = 0.0) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(3, 8, 1)
        self.off = off

    def forward(self, x):
        return self.wide(x) + self.narrow(x) if hasattr(self, "narrow") else self.wide(x)

    def switch_to_deploy(self):
        self.wide.weight[:, :, 1:2, 1:2] += self.narrow.weight + self.off
        self.wide.bias += self.narrow.bias
        del self.narrow


class Returns(nn.Module):
    """Is to be replaced by what its `fuse` returns, as timm's blocks are."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8)

    def forward(self, x):
        return self.norm(self.conv(x))

    def fuse(self):
        return torch.nn.utils.fusion.fuse_conv_bn_eval(self.conv, self.norm)


class Fails(nn.Identity):
    def reparameterize(self):
        raise ValueError("not twice")


def hooked(module):
    deployed, changes = run_deploy_hooks(module)
    example = (picture(size=8),)
    before, after = capture(module, example), capture(deployed, example)
    return deployed, changes, prove(before, after, example, changes)


def test_every_hook_runs_on_a_copy_and_is_proven():
    module = nn.Sequential(Branches(), nn.Sequential(Returns())).eval()
    state = copy.deepcopy(module.state_dict())
    deployed, changes, proof = hooked(module)
    assert [(change.where, change.what) for change in changes] == [("0", "switch_to_deploy"), ("1.0", "fuse")]
    assert proof.error is not None
    assert proof.error <= proof.bound == BOUND
    assert isinstance(deployed[1][0], nn.Conv2d)
    assert not hasattr(deployed[0], "narrow")
    assert all(torch.equal(module.state_dict()[name], tensor) for name, tensor in state.items())
    assert not deployed.training


def test_a_network_that_is_itself_replaced():
    _, changes, _ = hooked(nn.Sequential(nn.Conv2d(3, 8, 1), Returns()).eval())
    deployed, _ = run_deploy_hooks(Returns().eval())
    assert [change.where for change in changes] == ["1"]
    assert isinstance(deployed, nn.Conv2d)


@pytest.mark.parametrize("off", [1e-3, float("nan")])
def test_a_hook_that_computes_something_else_is_refused(off):
    with pytest.raises(ConversionError, match="own switch_to_deploy changes what it computes.*leave out"):
        hooked(Branches(off).eval())


def test_a_hook_that_fails_is_named():
    with pytest.raises(ConversionError, match=r"1: its own reparameterize fails \(ValueError: not twice\)"):
        run_deploy_hooks(nn.Sequential(nn.Conv2d(3, 8, 1), Fails()))


def test_no_hook_to_run():
    with pytest.raises(UsageError, match=f"no module of Conv2d has a method {HOOKS[0]}"):
        run_deploy_hooks(nn.Conv2d(3, 8, 1))


def test_on_the_command_line_files_are_judged_against_the_network_as_it_was(tmp_path, capfd):
    (tmp_path / "own.py").write_text(
        "import torch\nfrom torch import nn\n"
        "class Scaled(nn.Module):\n"
        "    def __init__(self, off):\n"
        "        super().__init__()\n        self.conv, self.off = nn.Conv2d(3, 8, 3), off\n"
        "    def forward(self, x):\n        return self.conv(x).mean((2, 3))\n"
        "    def switch_to_deploy(self):\n        self.conv.weight *= 1 + self.off\n"
        "def right():\n    return Scaled(0.0)\n"
        "def wrong():\n    return Scaled(0.5)\n"
    )
    words = ["--image-size", "32", "--deploy-hooks", "--format", "onnx", "--output-dir", str(tmp_path)]
    assert (
        cli.run_command("mocovit-export", cli._export, ["--model", f"{tmp_path / 'own.py'}:right", *words])
        == 0
    )
    assert "deploy_hooks          1 changed, float64 error 0.0e+00" in capfd.readouterr().out
    before = (tmp_path / "right_32_fp32.onnx").read_bytes()
    assert (
        cli.run_command("mocovit-export", cli._export, ["--model", f"{tmp_path / 'own.py'}:wrong", *words])
        == 3
    )
    assert capfd.readouterr().err.count("\n") == 1
    assert cli.run_command("mocovit-export", cli._export, ["--model", "tiny_networks:tiny", *words]) == 2
    assert "leave --deploy-hooks out" in capfd.readouterr().err
    assert (tmp_path / "right_32_fp32.onnx").read_bytes() == before
