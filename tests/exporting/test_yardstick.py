"""Networks that multiply rounding errors, through the whole line."""

import pytest
import torch
from torch import nn

import mocovit_deploy
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.spec import ExportRequest, ModelSpec, OwnInput
from mocovit_deploy.terminal.progress import Stages


class LogisticMap(nn.Module):
    """x -> 3.9 x (1 - x), which doubles an error at almost every step."""

    def __init__(self, steps, only=None):
        super().__init__()
        self.linear = nn.Linear(48, 8)
        self.steps, self.only = steps, only

    def forward(self, x):
        if self.only not in (None, x.dtype):
            raise TypeError(f"{self.only} or nothing")
        x = torch.sigmoid(self.linear(x))
        for _ in range(self.steps):
            x = 3.9 * x * (1 - x)
        return x


def exported(module, folder):
    torch.manual_seed(0)
    done = mocovit_deploy.export(module.eval(), torch.randn(1, 48), formats=("tflite",), output_dir=folder)
    (file,) = done.files
    return file


@pytest.mark.parametrize(
    ("steps", "verdict", "reason"),
    [
        (16, "pass", "within 4 times torch's own error"),
        (24, "not run", "the network's own float32 output is uncertain by"),
    ],
)
def test_a_network_that_multiplies_rounding(steps, verdict, reason, tmp_path):
    torch.manual_seed(0)
    file = exported(LogisticMap(steps), tmp_path)
    assert file.verdict == verdict
    assert reason in file.report.reason


def test_a_network_without_float64_is_judged_in_float32_and_a_note_says_so(tmp_path):
    torch.manual_seed(0)
    file = exported(LogisticMap(2, only=torch.float32), tmp_path)
    assert file.verdict == "pass"
    assert file.report.outputs[0].own_error is None
    assert any("it does not run in float64 (TypeError: torch.float32 or nothing)" in n for n in file.notes)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "verdict"),
    [("efficientvit_m0", "pass"), ("mobilenetv4_hybrid_medium", "pass"), ("levit_128s", "not run")],
)
def test_timm_networks_that_were_rejected_for_torchs_own_rounding(name, verdict, tmp_path):
    request = ExportRequest(
        ModelSpec(f"timm/{name}", input=OwnInput()), formats=("onnx", "tflite", "coreml"), output_dir=tmp_path
    )
    for outcome in export_model(request, Stages()).outcomes:
        assert outcome.report.verdict == verdict, outcome.report.reason
        assert ("uncertain" in outcome.report.reason) == (verdict == "not run")
