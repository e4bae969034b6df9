"""The search for the fastest file that keeps the accuracy, on a network of one block of each kind."""

import json

import numpy as np
import pytest

from mocovit_deploy.errors import AccuracyError, MissingToolError, UsageError
from mocovit_deploy.exporting import auto
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.search.choose import choose
from mocovit_deploy.spec import AUTO, CalibrationRequest, ExportRequest, ModelSpec, OwnInput, SearchRequest
from mocovit_deploy.terminal.progress import Stages

pytestmark = pytest.mark.slow


class NoCounter:
    @staticmethod
    def count(*_):
        raise MissingToolError("nothing counts")


@pytest.fixture
def images(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 32, 3), np.uint8)
    np.savez(tmp_path / "images.npz", images=pixels)
    return tmp_path / "images.npz"


def export(folder, images, max_drop):
    request = ExportRequest(
        ModelSpec("tiny_networks:tiny", input=OwnInput(size=32)),
        ("tflite",),
        (AUTO,),
        output_dir=folder / "out",
        calibration=CalibrationRequest(str(images), 8, judging_images=16),
        search=SearchRequest(max_drop=max_drop, images=16),
    )
    (outcome,) = export_model(request, Stages()).outcomes
    return outcome


def test_the_best_is_published_with_what_it_was_chosen_from(tmp_path, images, monkeypatch):
    monkeypatch.setattr(auto, "counting_target", NoCounter)
    outcome = export(tmp_path, images, 100.0)
    assert outcome.error is None
    assert outcome.artifact.path.parent == tmp_path / "out"
    assert [path.suffix for path in (tmp_path / "out").iterdir()].count(".tflite") == 1
    assert choose(outcome.candidates, 1.0).candidate.recipe == outcome.artifact.recipe
    recipes = [one.recipe for one in outcome.candidates]
    assert {"fp32", "fp16", "static_wi8_ai8", "static_wi8_ai8_fp16", "mixed_wi8_ai8_fp16"} <= set(recipes)
    assert all(one.instructions > 0 and not one.is_counted for one in outcome.candidates if one.passed)
    said = json.loads((tmp_path / "out" / f"{outcome.artifact.path.name}.json").read_text())
    search = said["quantization"]["search"]
    assert [one["recipe"] for one in search["candidates"]] == recipes
    assert search["reason"] == outcome.why_chosen
    assert not search["counted"]
    assert "estimated from a table" in " ".join(outcome.notes)
    assert "no labels" in " ".join(outcome.notes)


def test_where_nothing_keeps_the_accuracy_nothing_is_written(tmp_path, images, monkeypatch):
    monkeypatch.setattr(auto, "counting_target", NoCounter)
    outcome = export(tmp_path, images, 1e-6)
    assert isinstance(outcome.error, AccuracyError)
    assert not list((tmp_path / "out").glob("*.tflite"))
    prices = [one.noise_price for one in outcome.candidates if one.noise_price is not None]
    assert prices == sorted(prices) or len(set(prices)) > 1
    assert outcome.candidates
    assert "16 images cannot show so small a drop for any file: judge on 384" in str(outcome.error)


@pytest.mark.parametrize("network", ["segmenter", "detector"])
def test_segmenters_and_detectors_are_judged_by_agreement(network, tmp_path, monkeypatch):
    monkeypatch.setattr(auto, "counting_target", NoCounter)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 64, 96, 3), np.uint8)
    np.savez(tmp_path / "images.npz", images=pixels)
    request = ExportRequest(
        ModelSpec(f"tiny_tasks:{network}", input=OwnInput(size=64, width=96)),
        ("tflite",),
        (AUTO,),
        output_dir=tmp_path / "out",
        calibration=CalibrationRequest(str(tmp_path / "images.npz"), 8, judging_images=12),
        search=SearchRequest(max_drop=100.0, images=12),
    )
    (outcome,) = export_model(request, Stages()).outcomes
    assert outcome.error is None
    told = {one.recipe: one for one in outcome.candidates if one.passed and one.noise_price is None}
    assert told["fp32"].agreement == 1.0
    assert told["fp32"].drop == 0.0
    assert told["static_wi8_ai8"].agreement < 1.0
    assert all(one.drop == pytest.approx(1 - one.agreement) for one in told.values())
    assert all(one.drop < one.drop_high < 1 for one in told.values())
    assert "the places of the same class" in " ".join(outcome.notes)


def test_labels_of_a_segmenters_images_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(auto, "counting_target", NoCounter)
    pixels = np.random.default_rng(0).integers(0, 256, (12, 64, 96, 3), np.uint8)
    np.savez(tmp_path / "images.npz", images=pixels, labels=np.zeros(12, int))
    request = ExportRequest(
        ModelSpec("tiny_tasks:segmenter", input=OwnInput(size=64, width=96)),
        ("tflite",),
        (AUTO,),
        output_dir=tmp_path,
        calibration=CalibrationRequest(str(tmp_path / "images.npz"), 8, judging_images=4),
    )
    (outcome,) = export_model(request, Stages()).outcomes
    assert "labels are of classifiers, which segmenter is not; give images alone" in str(outcome.error)


def test_labels_that_the_network_has_not_are_refused(tmp_path, images, monkeypatch):
    monkeypatch.setattr(auto, "counting_target", NoCounter)
    pixels = np.load(images)["images"]
    np.savez(tmp_path / "labelled.npz", images=pixels, labels=np.full(len(pixels), 77))
    error = export(tmp_path, tmp_path / "labelled.npz", 1.0).error
    assert isinstance(error, UsageError)
    assert "a label is 77, but the network has only classes 0 to 9" in str(error)
