"""int8 on x86-64 and on an emulated Cortex-A76: the same bits on real images."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")

from examples.digits.checkpoint import read_record
from examples.digits.networks import NETWORKS
from mocovit_deploy.artifacts.golden import read_golden
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.formats import format_named
from mocovit_deploy.parity.verdict import predict_golden
from mocovit_deploy.spec import CalibrationRequest, ExportRequest
from mocovit_deploy.targets import RunConditions, counting_target
from mocovit_deploy.terminal.progress import Stages

MOBILENET = next(one for one in NETWORKS if one.name == "mobilenetv3_small_075")


@pytest.mark.slow
@pytest.mark.usefixtures("the_core")
def test_int8_has_the_same_bits_on_x86_and_on_the_core(tmp_path):
    """Accuracy of int8 files is judged here, on x86-64: what they answer on ARM must be no other."""
    request = ExportRequest(
        read_record(MOBILENET.checkpoint).spec(MOBILENET.checkpoint),
        ("tflite",),
        ("static_wi8_ai8",),
        output_dir=tmp_path,
        calibration=CalibrationRequest("examples.digits.data:training_pictures", 32),
    )
    (outcome,) = export_model(request, Stages()).outcomes
    assert outcome.error is None
    artifact = read_manifest(outcome.artifact.path)
    golden = read_golden(artifact)
    here = predict_golden(artifact, golden, format_named("tflite").load(artifact))["logits"]
    there = counting_target().run_golden(artifact, golden, RunConditions(deadline_s=300, fetch=False))
    assert len(golden) == 8
    assert len(np.unique(here)) > 8
    assert there.arithmetic == "int8"
    assert np.array_equal(here, there.outputs["logits"])
