"""MediaPipe Tasks as the judge of segmenters: its masks are those of the file (slow)."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from mediapipe_tasks import mediapipe_python

from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.formats import format_named
from mocovit_deploy.spec import ExportRequest, ModelSpec, OwnInput
from mocovit_deploy.terminal.progress import Stages


@pytest.fixture(scope="module")
def python():
    return mediapipe_python()


SEGMENT = """
import sys
import mediapipe, numpy
from mediapipe.tasks.python import BaseOptions, vision
file, pixels, answer = sys.argv[1:]
options = vision.ImageSegmenterOptions(
    base_options=BaseOptions(model_asset_path=file), output_confidence_masks=True
)
with vision.ImageSegmenter.create_from_options(options) as segmenter:
    image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=numpy.load(pixels))
    found = segmenter.segment(image).confidence_masks
    masks = numpy.stack([one.numpy_view().reshape(image.height, image.width) for one in found])
    numpy.savez(answer, masks=masks, labels=numpy.array(segmenter.labels))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="MediaPipe Tasks was tried on Linux only")
@pytest.mark.parametrize("recipe", ["fp32", "fp16"])
def test_it_segments_as_the_file_does(python, recipe, tmp_path):
    labels = ("road", "wall", "sky")
    model = ModelSpec("tiny_tasks:segmenter", input=OwnInput(size=64, width=96), normalize=True)
    request = ExportRequest(model, ("tflite",), (recipe,), output_dir=tmp_path, labels=labels)
    (outcome,) = export_model(request, Stages()).outcomes
    assert outcome.error is None
    artifact = read_manifest(outcome.artifact.path)
    pixels = np.random.default_rng(1).integers(0, 256, (64, 96, 3), np.uint8)
    scores = format_named("tflite").load(artifact)({"image": pixels[np.newaxis]})["segmentation"]
    shares = torch.from_numpy(scores).softmax(-1).permute(0, 3, 1, 2)
    wanted = torch.nn.functional.interpolate(shares, pixels.shape[:2], mode="bilinear")[0].numpy()
    np.save(tmp_path / "pixels.npy", pixels)
    command = [python, "-c", SEGMENT, str(artifact.path), str(tmp_path / "pixels.npy")]
    done = subprocess.run(
        [*command, str(tmp_path / "answer.npz")], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answer = np.load(tmp_path / "answer.npz")
    assert tuple(answer["labels"]) == labels
    np.testing.assert_allclose(answer["masks"], wanted, atol=1e-5)
