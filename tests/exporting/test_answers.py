"""`--data`: files compared with the original on the user's images, as part of the export."""

import numpy as np
import pytest

from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.cli.accuracy import Comparing
from mocovit_deploy.errors import AccuracyError, UsageError
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.models.load import load_network
from mocovit_deploy.spec import AccuracyRequest, ExportRequest, InputSpec, ModelSpec
from mocovit_deploy.terminal.progress import Stages

MODEL = ModelSpec("tiny_networks:tiny", input=InputSpec(size=32))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    images = np.random.default_rng(0).integers(0, 256, (24, 32, 32, 3), np.uint8)
    path = tmp_path_factory.mktemp("labelled") / "images.npz"
    np.savez(path, images=images, labels=np.arange(24) % 10)
    return str(path)


def exported(data, folder, max_drop=None):
    asked = AccuracyRequest(data, max_drop=max_drop)
    request = ExportRequest(MODEL, ("tflite",), output_dir=folder, accuracy=asked)
    (outcome,) = export_model(request, Stages()).outcomes
    return outcome


def test_the_manifest_holds_accuracy_and_parity_finds_the_same(data, tmp_path):
    outcome = exported(data, tmp_path)
    held = read_manifest(outcome.artifact.path).accuracy
    assert held["images"] == 24
    assert held["agreement"] == 1.0
    again = Comparing(AccuracyRequest(data)).compare(read_manifest(outcome.artifact.path))
    assert again.evaluation == outcome.accuracy.evaluation


def test_a_file_that_may_lose_more_is_rejected(data, tmp_path):
    outcome = exported(data, tmp_path, max_drop=0.5)
    assert isinstance(outcome.error, AccuracyError)
    assert outcome.artifact.path.parent.name == "rejected"
    assert str(outcome.artifact.path) in str(outcome.error)


def test_a_network_that_is_no_classifier_is_refused(data, tmp_path):
    request = ExportRequest(
        ModelSpec("tiny_networks:two_heads", input=InputSpec(size=32)),
        ("tflite",),
        output_dir=tmp_path,
        accuracy=AccuracyRequest(data),
    )
    with pytest.raises(UsageError, match="--data: two_heads does not classify one image"):
        export_model(request, Stages(), load_network(request.model))
