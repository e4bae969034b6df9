import pytest
import torch
from torch import nn

from mocovit_deploy.cli import main as cli
from mocovit_deploy.graph.fp16_range import LARGEST_HALF, ROOM, warning, wide_values


class Filled(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, x):
        return torch.full_like(x, self.value) * 1.0


@pytest.mark.parametrize(
    ("value", "named"),
    [(0.0, False), (LARGEST_HALF / ROOM, False), (LARGEST_HALF, True), (float("nan"), True)],
)
def test_values_are_named_with_their_magnitude(value, named):
    example = (torch.zeros(2, 3),)
    graph = torch.export.export(Filled(value), example).module(check_guards=False)
    found = wide_values(graph, example)
    assert bool(found) is named
    assert bool(warning(found)) is named


def test_fp16_files_of_such_a_network_come_with_a_warning(tmp_path, capfd):
    (tmp_path / "ratio.py").write_text(
        "from torch import nn\n"
        "class Ratio(nn.Conv2d):\n"
        "    def forward(self, x):\n"
        "        y = super().forward(x).relu().mean((2, 3)) * 1e5 + 1\n"
        "        return y / y.sum(1, keepdim=True)\n"
        "def net():\n    return Ratio(3, 8, 3)\n"
    )
    words = ["--model", f"{tmp_path / 'ratio.py'}:net", "--image-size", "16", "--output-dir", str(tmp_path)]
    cli.run_command("mocovit-export", cli._export, [*words, "--format", "onnx,tflite", "--precision", "fp16"])
    err = capfd.readouterr().err
    assert err.count("may return infinity or NaN; ship fp32 for such devices") == 2
    cli.run_command("mocovit-export", cli._export, [*words, "--format", "onnx", "--precision", "fp32"])
    assert "ship fp32" not in capfd.readouterr().err
