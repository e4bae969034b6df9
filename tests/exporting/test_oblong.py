"""Images that are no square: in every format, in a contract, in calibration, and on labelled images."""

import numpy as np
import pytest

from mocovit_deploy.accuracy.pictures import read_pixels
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.artifacts.provenance import model_of
from mocovit_deploy.contract.first import first_contract
from mocovit_deploy.contract.model_table import request_of
from mocovit_deploy.errors import UsageError
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.parity.decide import PASS
from mocovit_deploy.ship.app_code import write_app_code
from mocovit_deploy.spec import (
    AccuracyRequest,
    CalibrationRequest,
    ExportRequest,
    InputSpec,
    ModelSpec,
    OwnInput,
)
from mocovit_deploy.terminal.progress import Stages

FORMATS = ("onnx", "coreml", "tflite")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("oblong")
    (folder / "oblong.py").write_text(
        "import numpy as np\n"
        "def images(spec, count):\n"
        "    height, width = spec.sides\n"
        "    pixels = np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)\n"
        "    return pixels, np.arange(count) % 10\n"
    )
    request = ExportRequest(
        ModelSpec("tiny_networks:tiny", input=OwnInput(size=24, width=40)),
        FORMATS,
        ("fp32", "static_wi8_ai8"),
        output_dir=folder,
        minimum_deployment_target="iOS17",
        accuracy=AccuracyRequest(f"{folder / 'oblong.py'}:images", 12),
        calibration=CalibrationRequest(f"{folder / 'oblong.py'}:images", 8),
    )
    return export_model(request, Stages()).outcomes


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("recipe", ["fp32", "static_wi8_ai8"])
def test_every_format_takes_them(exported, name, recipe):
    (outcome,) = [one for one in exported if (one.format, one.recipe) == (name, recipe)]
    assert outcome.report.verdict == PASS, outcome.report.reason
    assert outcome.accuracy.evaluation.images == 12
    artifact = read_manifest(outcome.artifact.path)
    assert artifact.path.name.startswith(f"tiny_24x40_{recipe}")
    (image,) = artifact.inputs
    assert image.shape == ((1, 24, 40, 3) if image.layout == "nhwc" else (1, 3, 24, 40))
    assert model_of(artifact).input == OwnInput(size=24, width=40)


def test_a_contract_names_both_sides(exported, tmp_path):
    artifacts = [one.artifact for one in exported if (one.format, one.recipe) == ("tflite", "fp32")]
    assert 'image_size = "24x40"' in first_contract(artifacts, tmp_path).text


@pytest.mark.parametrize(
    ("said", "wanted"), [(32, OwnInput(size=32)), ("24x40", OwnInput(size=24, width=40))]
)
def test_a_contract_reads_both_sides(said, wanted):
    assert request_of({"model": "mocovit_0_5", "image_size": said}, (), "here").model.input == wanted


@pytest.mark.parametrize("said", ["24x", "24", 0, [24, 40]])
def test_a_contract_refuses_what_is_no_size(said):
    with pytest.raises(UsageError, match="here: image_size"):
        request_of({"model": "mocovit_0_5", "image_size": said}, (), "here")


def test_pictures_keep_their_proportions(tmp_path):
    from PIL import Image

    ramp = np.broadcast_to(np.arange(200, dtype=np.uint8)[None, :, None], (100, 200, 3))
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    found = read_pixels(tmp_path / "ramp.png", InputSpec(20, width=10))
    assert found.shape == (20, 10, 3)
    assert 75 <= found[0, 0, 0] < found[0, -1, 0] <= 125  # the middle 50 of 200 columns


def test_code_for_apps_is_refused(exported):
    artifact = next(one.artifact for one in exported if one.format == "tflite")
    with pytest.raises(
        UsageError, match="code .--app-code. is written for square images; this one takes 24 x 40"
    ):
        write_app_code(artifact.path)
