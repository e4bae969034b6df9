"""MediaPipe Tasks as the judge of segmenters and detectors: its masks and boxes are the file's (slow)."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from mediapipe_tasks import mediapipe_python

from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.boxes.decode import detections
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


DETECT = """
import json, sys
import mediapipe, numpy
from mediapipe.tasks.python import BaseOptions, vision
file, pixels = sys.argv[1:]
options = vision.ObjectDetectorOptions(
    base_options=BaseOptions(model_asset_path=file), score_threshold=0.5, max_results=100
)
with vision.ObjectDetector.create_from_options(options) as detector:
    image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=numpy.load(pixels))
    found = [(one.categories[0], one.bounding_box) for one in detector.detect(image).detections]
print(json.dumps([
    [category.category_name, category.score, box.origin_y, box.origin_x, box.height, box.width]
    for category, box in found
]))
"""
SUPPRESSED_FROM = 0.3
"""MediaPipe's own overlap, which Python cannot change."""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="MediaPipe Tasks was tried on Linux only")
@pytest.mark.parametrize("recipe", ["fp32", "fp16"])
def test_it_finds_the_boxes_that_we_decode(python, recipe, tmp_path):
    labels = ("zero", "one", "two")
    model = ModelSpec("tiny_tasks:detector", input=OwnInput(size=64, width=96), normalize=True)
    request = ExportRequest(model, ("tflite",), (recipe,), output_dir=tmp_path, labels=labels)
    (outcome,) = export_model(request, Stages()).outcomes
    assert outcome.error is None
    artifact = read_manifest(outcome.artifact.path)
    pixels = np.random.default_rng(1).integers(0, 256, (64, 96, 3), np.uint8)
    outputs = format_named("tflite").load(artifact)({"image": pixels[np.newaxis]})
    how = {"least_score": 0.5, "most_overlap": SUPPRESSED_FROM, "across_classes": True}
    wanted = detections(artifact.task, outputs, **how)
    np.save(tmp_path / "pixels.npy", pixels)
    command = [python, "-c", DETECT, str(artifact.path), str(tmp_path / "pixels.npy")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found) > 5
    assert [one[0] for one in found] == [labels[one.label] for one in wanted]
    np.testing.assert_allclose([one[1] for one in found], [one.score for one in wanted], atol=1e-5)
    for (_, _, *box), one in zip(found, wanted, strict=True):
        # Whole pixels, cut off; what reaches past the image begins at its edge, and is no larger than it.
        top, left, bottom, right = np.array(one.box) * (64, 96, 64, 96)
        inside = (max(top, 0), max(left, 0), min(bottom - top, 64), min(right - left, 96))
        np.testing.assert_allclose(box, inside, atol=1.0)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="MediaPipe Tasks was tried on Linux only")
def test_it_reads_files_that_suppress_boxes_themselves(python, tmp_path):
    labels = ("zero", "one", "two")
    model = ModelSpec(
        "tiny_tasks:detector", (("boxes", "suppressed"),), input=OwnInput(size=64, width=96), normalize=True
    )
    request = ExportRequest(model, ("tflite",), output_dir=tmp_path, labels=labels)
    (outcome,) = export_model(request, Stages()).outcomes
    assert outcome.error is None
    artifact = read_manifest(outcome.artifact.path)
    pixels = np.random.default_rng(1).integers(0, 256, (64, 96, 3), np.uint8)
    outputs = format_named("tflite").load(artifact)({"image": pixels[np.newaxis]})
    wanted = detections(artifact.task, outputs, least_score=0.5)
    np.save(tmp_path / "pixels.npy", pixels)
    command = [python, "-c", DETECT, str(outcome.suppressed.path), str(tmp_path / "pixels.npy")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found) > 5
    assert [one[0] for one in found] == [labels[one.label] for one in wanted]
    np.testing.assert_allclose([one[1] for one in found], [one.score for one in wanted], atol=1e-5)
    for (_, _, *box), one in zip(found, wanted, strict=True):
        top, left, bottom, right = np.array(one.box) * (64, 96, 64, 96)
        inside = (max(top, 0), max(left, 0), min(bottom - top, 64), min(right - left, 96))
        np.testing.assert_allclose(box, inside, atol=1.0)
