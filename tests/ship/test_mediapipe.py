"""MediaPipe Tasks as the judge: its `ImageClassifier` loads a file and names the classes that we name (slow).

MediaPipe is installed into an environment of its own, in the cache, the first time.
"""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.formats import format_named
from mocovit_deploy.spec import ExportRequest, ModelSpec, OwnInput
from mocovit_deploy.terminal.progress import Stages

VERSION = "1.2.3"
LABELS = tuple(f"class {i}" for i in range(10))
CLASSIFY = """
import json, sys
import mediapipe, numpy
from mediapipe.tasks.python import BaseOptions, vision
file, pixels = sys.argv[1:]
options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_path=file))
with vision.ImageClassifier.create_from_options(options) as classifier:
    image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=numpy.load(pixels))
    found = classifier.classify(image).classifications[0].categories
print(json.dumps([[one.category_name, one.score] for one in found]))
"""


@pytest.fixture(scope="module")
def python():
    """A Python that has MediaPipe."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = cache / "mocovit-deploy" / f"mediapipe-{VERSION}"
    binary = home / "bin" / "python"
    if not (home / "ready").exists():
        venv.create(home, with_pip=True, clear=True)
        wanted = [f"mediapipe=={VERSION}", "numpy"]
        install = [str(binary), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
        subprocess.run(install, check=True, timeout=280)
        (home / "ready").touch()
    return str(binary)


SAID = {
    "pixels": (OwnInput(size=32), True, "fp32"),
    "pixels, fp16": (OwnInput(size=32), True, "fp16"),
    "pixels, reversed channels": (OwnInput(size=32, colour_order="BGR"), True, "fp32"),
    "one mean for all channels": (OwnInput(size=32, mean=(0.5,), std=(0.5,)), False, "fp32"),
}


def classified(python, path, pixels, tmp_path):
    np.save(tmp_path / "pixels.npy", pixels)
    command = [python, "-c", CLASSIFY, str(path), str(tmp_path / "pixels.npy")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="MediaPipe Tasks was tried on Linux only")
@pytest.mark.parametrize("name", SAID)
def test_it_names_the_classes_that_the_file_gives(python, name, tmp_path):
    image, normalize, recipe = SAID[name]
    model = ModelSpec("tiny_networks:tiny", input=image, normalize=normalize)
    request = ExportRequest(model, ("tflite",), (recipe,), output_dir=tmp_path, labels=LABELS)
    (outcome,) = export_model(request, Stages()).outcomes
    assert outcome.error is None
    artifact = read_manifest(outcome.artifact.path)
    pixels = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)
    how = artifact.preprocessing
    given = pixels if normalize else np.float32((pixels * how.scale - how.mean) / how.std)
    scores = format_named("tflite").load(artifact)({"image": given[np.newaxis]})["logits"][0]
    wanted = sorted(zip(LABELS, scores.tolist(), strict=True), key=lambda one: -one[1])
    found = classified(python, artifact.path, pixels, tmp_path)
    assert [label for label, _ in found] == [label for label, _ in wanted]
    np.testing.assert_allclose([s for _, s in found], [s for _, s in wanted], atol=2e-3 * np.ptp(scores))
