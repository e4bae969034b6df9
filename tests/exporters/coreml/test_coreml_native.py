"""What can be said of the native predictor without a Mac: it says so, and passes arrays through."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from exporters.coreml import load_native
from exporters.coreml.native import NativePredictor
from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.errors import MissingToolError, ParityError, UsageError
from mocovit_deploy.spec import Preprocessing

ARTIFACT = Artifact(Path("m.mlpackage"), "coreml", "fp16", "m", "w", (), (), Preprocessing(), "", "")


@pytest.mark.skipif(sys.platform == "darwin", reason="this is macOS")
def test_says_that_it_needs_macos():
    with pytest.raises(MissingToolError, match="macOS"):
        load_native(ARTIFACT, "CPU_ONLY")


def test_an_unknown_compute_unit_is_a_users_mistake():
    with pytest.raises(UsageError, match=r"did you mean 'CPU_ONLY'\?.*CPU_AND_NE"):
        load_native(ARTIFACT, "CPU_ONYL")


class Model:
    """Stands where Core ML's model does: `predict` of named arrays."""

    def predict(self, inputs):
        if "x" not in inputs:
            raise RuntimeError("Feature x is required but not specified.")
        return {"y": inputs["x"] + 1, "classLabel": "a cat", "classLabel_probs": {"a cat": 1.0}}


def test_predicts_by_name():
    predictor = NativePredictor(Model(), "Core ML", "fp16", {})
    found = predictor({"x": np.zeros((4, 2), np.float32).T})
    assert list(found) == ["y"]
    np.testing.assert_array_equal(found["y"], np.ones((2, 4)))


def test_core_mls_errors_are_ours():
    with pytest.raises(ParityError, match="Feature x is required"):
        NativePredictor(Model(), "Core ML", "fp16", {})({})
