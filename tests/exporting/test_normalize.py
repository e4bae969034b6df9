"""`--normalize`: files of pixels, in every format, that give what the network gives of prepared images."""

import numpy as np
import pytest
import torch

from mocovit_deploy.artifacts.golden import read_golden
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.formats import FORMATS, format_named
from mocovit_deploy.models.load import load_network
from mocovit_deploy.ship.app_code import app_code
from mocovit_deploy.spec import ExportRequest, InputSpec, ModelSpec, OwnInput
from mocovit_deploy.terminal.progress import Stages

TINY = "tiny_networks:tiny"
SAID = OwnInput(size=32, colour_order="BGR", mean=(0.1, 0.2, 0.3))
LABELS = tuple(f"class {i}" for i in range(10))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    request = ExportRequest(
        ModelSpec(TINY, input=SAID, normalize=True),
        FORMATS,
        output_dir=tmp_path_factory.mktemp("pixels"),
        labels=LABELS,
        app_code=True,
    )
    done = export_model(request, Stages())
    assert not [outcome.error for outcome in done.outcomes if outcome.error]
    return {outcome.format: read_manifest(outcome.artifact.path) for outcome in done.outcomes}


@pytest.fixture(scope="module")
def network():
    return load_network(ModelSpec(TINY, input=SAID))


@pytest.mark.parametrize("name", FORMATS)
def test_the_file_takes_pixels_and_says_what_it_does_to_them(exported, name, network):
    artifact = exported[name]
    how = artifact.preprocessing
    assert artifact.inputs[0].dtype == "uint8"
    assert (how.scale, how.mean, how.std, how.colour_order) == (1.0, (0, 0, 0), (1, 1, 1), "RGB")
    assert how.built_in == network.input.preprocessing


@pytest.mark.parametrize("name", FORMATS)
def test_golden_outputs_are_the_networks_of_prepared_images(exported, name, network):
    artifact = exported[name]
    golden = read_golden(artifact)
    pixels = torch.from_numpy(golden.inputs["image"])
    pixels = pixels.movedim(-1, -3) if artifact.inputs[0].layout == "nhwc" else pixels
    mean, std = (torch.tensor(v).reshape(3, 1, 1) for v in (SAID.mean, network.input.preprocessing.std))
    with torch.no_grad():
        expected = [network.module((one.flip(1) / 255 - mean) / std).numpy() for one in pixels]
    np.testing.assert_allclose(golden.outputs["logits"], expected, atol=1e-5)
    found = format_named(name).load(artifact)({"image": golden.inputs["image"][0]})["logits"]
    np.testing.assert_allclose(found, expected[0], atol=1e-5)


def test_nothing_but_the_mean_is_left_in_the_file(exported):
    artifact = exported["tflite"]
    kinds = [one.kind for one in format_named("tflite").operators(artifact)]
    assert kinds[:2] == ["CAST", "RESHAPE"]
    assert kinds.count("SUB") == 1
    assert not {"DIV", "REVERSE_V2", "GATHER"} & set(kinds)


def test_core_ml_takes_a_picture(exported):
    import coremltools

    path = str(exported["coreml"].path)
    (taken,) = coremltools.models.MLModel(path, skip_model_load=True).get_spec().description.input
    assert taken.type.WhichOneof("Type") == "imageType"
    assert (taken.type.imageType.width, taken.type.imageType.height) == (32, 32)


@pytest.mark.parametrize(
    ("name", "suffix", "word"),
    [
        ("coreml", ".swift", "imageConstraint"),
        ("coreml", ".py", "Image.fromarray"),
        ("tflite", ".kt", "UINT8"),
    ],
)
def test_the_code_passes_pixels(exported, name, suffix, word):
    artifact = exported[name]
    text = app_code(artifact, LABELS)[f"{artifact.path.name}{suffix}"]
    assert word in text
    assert "which the network normalizes by itself" in text


def test_an_image_taken_to_the_letter_is_normalized_too(tmp_path):
    spec = ModelSpec(TINY, input=InputSpec(size=32), normalize=True)
    assert load_network(spec).input.dtype == "uint8"
