"""Outputs that are wrong although no layer seems to be."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from mocovit_deploy.artifacts.golden import Golden
from mocovit_deploy.layers.farthest import with_farthest, worst_output
from mocovit_deploy.layers.taps import LayerReading
from mocovit_deploy.parity.compare import compare_output

GIVEN = np.linspace(-1, 1, 24, dtype=np.float32).reshape(4, 1, 6)
GOLDEN = Golden(("a", "b", "c", "d"), {"image": GIVEN}, {"one": GIVEN * 2, "two": GIVEN * 3})
ARTIFACT = SimpleNamespace(path=Path("n.onnx"), format="onnx", recipe="fp32", dynamic_batch=False, task=None)


def running(spoilt_at=None, by=0.0):
    def predict(inputs):
        image = inputs["image"]
        spoilt = spoilt_at is not None and np.array_equal(image, GIVEN[spoilt_at])
        return {"one": image * 2, "two": image * 3 + (by if spoilt else 0.0), "a layer": image}

    predict.runtime, predict.arithmetic = "none", "fp32"
    return predict


def test_the_worst_output_says_on_which_sample():
    worst = worst_output(ARTIFACT, GOLDEN, running(2, 1e-3))
    assert (worst.output, worst.worst_sample) == ("two", 2)
    assert worst_output(ARTIFACT, GOLDEN, running(1, np.nan)).worst_sample == 1


def test_right_outputs_have_no_worst():
    assert worst_output(ARTIFACT, GOLDEN, running()) is None
    assert worst_output(ARTIFACT, GOLDEN, running(2, 1e-6)) is None


def reading(error):
    alone = compare_output("layer", GIVEN, GIVEN + np.float32(error))
    return LayerReading(None, (), alone, alone, "", False, 1e-5)


def test_the_farthest_alone_diverges():
    readings = with_farthest([reading(0), reading(3e-6), reading(1e-6)])
    assert [one.diverges for one in readings] == [False, True, False]
    assert dataclasses.replace(readings[1], diverges=False).alone.max_error > 1e-6
