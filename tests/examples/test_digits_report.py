"""Accuracy of exported files: what is asked, what is judged, what is printed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples.digits import data, exported, judge, report
from mocovit_deploy.accuracy.evaluate import Drop, Evaluation
from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.choices import FORMATS
from mocovit_deploy.cli.runner import run_command
from mocovit_deploy.errors import AccuracyError, ConversionError, ParityError, UsageError
from mocovit_deploy.formats import format_named
from mocovit_deploy.spec import BATCH, Preprocessing, TensorSpec

EVALUATION = Evaluation(
    images=1000,
    accuracy=0.93,
    reference_accuracy=0.95,
    drop=Drop(0.02, 0.012, 0.031),
    agreement=0.97,
    without_answer=0,
)
ROW = judge.Row("onnx", "fp32", None, "runtime 1, fp32", "pass", EVALUATION, None)


@dataclass
class Oracle:
    """Stands for a runtime: names the class that was drawn, and keeps what it was given."""

    labels: data.LabelArray
    runtime: str = "oracle"
    arithmetic: str = "fp32"
    seen: list[np.ndarray] = field(default_factory=list)

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        images = inputs["image"]
        start = sum(map(len, self.seen))
        self.seen.append(images)
        return {"logits": np.eye(10)[self.labels[start : start + len(images)]]}


def artifact(shape: tuple[int | str, ...], layout: str) -> Artifact:
    return Artifact(
        path=Path("file"),
        format="onnx",
        recipe="fp32",
        model="any",
        weights="any",
        inputs=(TensorSpec("image", shape, "float32", layout),),
        outputs=(TensorSpec("logits", (shape[0], 10), "float32"),),
        preprocessing=Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
        sha256="",
        golden_sha256="",
    )


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((1, 24, 24, 3), "nhwc"),
        ((1, 3, 24, 24), "nchw"),
        ((BATCH, 3, 24, 24), "nchw"),
        ((5, 24, 24, 3), "nhwc"),
    ],
)
def test_files_see_the_images_in_their_own_layout(shape: tuple[int | str, ...], layout: str) -> None:
    split = data.held_out()
    oracle = Oracle(split.labels)
    found = exported.answers(artifact(shape, layout), oracle, split, images=10)
    np.testing.assert_array_equal(found, split.labels[:10])
    assert all(images.shape[1:] == shape[1:] for images in oracle.seen)
    assert {len(images) for images in oracle.seen} == {10 if shape[0] == BATCH else shape[0]}
    pixels = data.picture(split, 3, 24).astype(np.float32) / 255
    seen = np.concatenate(oracle.seen)[3]
    np.testing.assert_allclose(seen if layout == "nhwc" else seen.transpose(1, 2, 0), pixels, rtol=1e-6)


def test_a_fixed_batch_must_divide_the_images() -> None:
    split = data.held_out()
    with pytest.raises(UsageError, match="takes 4 images at a time"):
        exported.answers(artifact((4, 24, 24, 3), "nhwc"), Oracle(split.labels), split, images=10)


def test_all_formats_and_precisions_are_asked_for_unless_some_are_named() -> None:
    assert report.chosen([]) == {name: format_named(name).RECIPES for name in FORMATS}
    assert report.chosen([("onnx", "fp32"), ("onnx", "fp32")]) == {"onnx": ("fp32",)}
    with pytest.raises(UsageError, match="unknown format 'onx'"):
        report.chosen([("onx", "fp32")])
    with pytest.raises(UsageError, match="unknown precision"):
        report.chosen([("onnx", "fp33")])


def test_a_bar_is_met_only_where_the_whole_interval_is_below_it() -> None:
    assert judge.judged(ROW, None).error is None
    assert judge.judged(ROW, 0.035).error is None
    assert isinstance(judge.judged(ROW, 0.025).error, AccuracyError)
    assert isinstance(judge.judged(ROW, 0.0).error, AccuracyError)
    failed = replace(ROW, error=ParityError("earlier"))
    assert judge.judged(failed, 0.0).error is failed.error


def test_the_table_says_what_a_row_is_worth_or_that_there_is_none() -> None:
    text = report.render([ROW, replace(ROW, format="tflite", evaluation=None, runtime="-", parity="not run")])
    assert "93.00%" in text
    assert "+2.00%" in text
    assert "+1.20% to +3.10%" in text
    assert "tflite fp32" in text
    assert "not run" in text


def test_the_most_basic_failure_decides() -> None:
    failures = [AccuracyError("low"), ConversionError("broken"), ParityError("far")]
    with pytest.raises(ConversionError, match="onnx fp32: broken"):
        report._conclude([replace(ROW, error=error) for error in failures])
    assert report._conclude([ROW]) == 0


@pytest.mark.parametrize(
    "words", [["onnx"], ["--images", "0"], ["--images", "99999"], ["--images-of", "coreml"], ["onx:fp32"]]
)
def test_mistakes_are_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(report.PROGRAM, report.command, words) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.slow
def test_exported_files_are_as_right_as_the_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    words = ["onnx:fp32", "--images", "200", "--max-drop", "3", "--json", "--output-dir", str(tmp_path)]
    assert run_command(report.PROGRAM, report.command, words) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    (row,) = document["files"]
    assert Path(row["path"]).is_file()
    assert row["parity"] == "pass"
    assert row["evaluation"]["images"] == 200
    assert row["evaluation"]["agreement"] >= 0.99
    assert document["reference_accuracy"] == row["evaluation"]["reference_accuracy"]
