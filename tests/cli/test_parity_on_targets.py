"""mocovit-parity --target emulated: what x86 cannot compute, on an emulated ARM core."""

import json

import pytest

from benchmarks.targets.emulated.qemu import find_qemu
from mocovit_deploy.cli import main as cli
from mocovit_deploy.errors import MissingToolError
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.spec import ExportRequest, InputSpec, ModelSpec
from mocovit_deploy.terminal.progress import Stages


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    try:
        find_qemu()
    except MissingToolError as error:
        pytest.skip(f"no qemu or bundle here: {error}")
    model = ModelSpec("tiny_networks:tiny", input=InputSpec(size=32))
    folder = tmp_path_factory.mktemp("targets")
    request = ExportRequest(model, ("tflite",), precisions=("fp32", "fp16"), output_dir=folder)
    return [outcome.artifact.path for outcome in export_model(request, Stages()).outcomes]


def test_half_precision_is_computed_and_judged(files, capfd):
    status = cli.run_command(
        "mocovit-parity", cli._parity, [*map(str, files), "--target", "emulated", "--json"]
    )
    out, err = capfd.readouterr()
    assert status == 0, err
    full, half = json.loads(out)["files"]
    assert (full["arithmetic"], half["arithmetic"]) == ("fp32", "fp16")
    assert full["outputs"][0]["max_error"] <= 1e-5
    assert 1e-5 < half["outputs"][0]["max_error"] <= 1e-2, "rounded, and near"
    assert half["not_run"] == ""


def test_an_unknown_target_is_a_usage_error(capfd):
    assert cli.run_command("mocovit-parity", cli._parity, ["a.tflite", "--target", "emulate"]) == 2
    assert "did you mean 'emulated'" in capfd.readouterr().err
