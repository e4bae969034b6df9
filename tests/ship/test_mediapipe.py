"""MediaPipe Tasks as the judge: it loads a file and names the classes that we name (slow)."""

import sys

import numpy as np
import pytest
from mediapipe_tasks import classified, mediapipe_python

from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.formats import format_named
from mocovit_deploy.quantization.recipes import recipe_named
from mocovit_deploy.spec import CalibrationRequest, ExportRequest, ModelSpec, OwnInput
from mocovit_deploy.terminal.progress import Stages

LABELS = tuple(f"class {i}" for i in range(10))


@pytest.fixture(scope="module")
def python():
    return mediapipe_python()


SAID = {
    "pixels": (OwnInput(size=32), True, "fp32"),
    "pixels, fp16": (OwnInput(size=32), True, "fp16"),
    "pixels, reversed channels": (OwnInput(size=32, colour_order="BGR"), True, "fp32"),
    "pixels, int8": (OwnInput(size=32), True, "static_wi8_ai8"),
    "pixels, mixed": (OwnInput(size=32), True, "mixed_wi8_ai8_fp16"),
    "one mean for all channels": (OwnInput(size=32, mean=(0.5,), std=(0.5,)), False, "fp32"),
}


INT8 = ("static_wi8_ai8", "mixed_wi8_ai8_fp16")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="MediaPipe Tasks was tried on Linux only")
@pytest.mark.parametrize("name", SAID)
def test_it_names_the_classes_that_the_file_gives(python, name, tmp_path):
    image, normalize, recipe = SAID[name]
    model = ModelSpec("tiny_networks:tiny", input=image, normalize=normalize)
    ranges = CalibrationRequest("random", 4) if recipe_named(recipe).is_static else None
    request = ExportRequest(
        model, ("tflite",), (recipe,), output_dir=tmp_path, labels=LABELS, calibration=ranges
    )
    (outcome,) = export_model(request, Stages()).outcomes
    assert outcome.error is None
    artifact = read_manifest(outcome.artifact.path)
    pixels = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)
    how = artifact.preprocessing
    given = pixels if normalize else np.float32((pixels * how.scale - how.mean) / how.std)
    scores = format_named("tflite").load(artifact)({"image": given[np.newaxis]})["logits"][0]
    wanted = sorted(zip(LABELS, scores.tolist(), strict=True), key=lambda one: -one[1])
    (found,) = classified(python, artifact.path, [pixels], tmp_path)
    assert found[0][0] == wanted[0][0]
    if recipe not in INT8:  # MediaPipe's XNNPACK is another version, and rounds halves otherwise
        assert [label for label, _ in found] == [label for label, _ in wanted]
    bound = (2e-2 if recipe in INT8 else 2e-3) * np.ptp(scores)
    theirs, ours = dict(found), dict(wanted)
    np.testing.assert_allclose([theirs[name] for name in LABELS], [ours[name] for name in LABELS], atol=bound)
