"""The study of the half-precision reference: its table, and what it compares."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.studies import half
from mocovit_deploy.artifacts.golden import Golden

ROW = half.rows()[0]
FILE = {
    "core": {"verdict": "pass", "arithmetic": "fp16", "error": 1.8e-3},
    "reference": {"verdict": "fail", "arithmetic": "mixed", "error": None},
    "apart": 2.5e-4,
    "same_bits": 0.25,
}
RESULT = {"tflite": {**FILE, "same_bits": 1.0}, "onnx": FILE, "commit": "0123456789"}


def test_every_network_of_the_zoo_is_a_row_once() -> None:
    models = [row.model for row in half.rows()]
    assert len(set(models)) == len(models)
    assert set(models) == {row.model for row in half.ROWS}


def test_a_line_of_the_table() -> None:
    line = half.cells(ROW, RESULT)
    assert line == (
        "mocovit_0_5",
        *("1.8e-03", "not finite, mixed, **fail**", "0"),
        *("1.8e-03", "not finite, mixed, **fail**", "2.5e-04 (25% equal)"),
    )
    refused = {"core": FILE["core"], "reference": {"verdict": "not run", "reason": "no semantics for X"}}
    assert half.cells(ROW, {**RESULT, "onnx": refused})[4:] == ("1.8e-03", "**not run**", "-")
    assert len(half.cells(ROW, {"error": "no export"})) == len(line) == len(half.HEADER)


def test_the_table_takes_its_place_and_names_what_is_missing() -> None:
    text = f"before\n{half.START}old\n{half.END}after\n"
    made = half.document(text, {ROW: RESULT})
    assert made.startswith("before\n")
    assert made.endswith("after\n")
    assert "old" not in made
    assert "**Did not run**: mocovit_1_0, " in made
    assert half.document(made, {ROW: RESULT}) == made


def test_differences_are_of_the_outputs_range() -> None:
    golden = Golden(("a",), {}, {"y": np.array([[0.0, 4.0, 2.0, 1.0]])})
    core = {"y": np.array([[0.0, 4.0, 2.0, np.nan]])}
    by_numpy = {"y": np.array([[0.0, 4.0, 2.0, np.nan]])}
    assert half.core_and_reference(golden, core, by_numpy) == {"apart": None, "same_bits": 1.0}
    moved = {"y": np.array([[0.0, 4.0, 2.0, 3.0]])}
    assert half.core_and_reference(golden, moved, {"y": np.array([[1.0, 4.0, 2.0, 3.0]])}) == {
        "apart": 0.25,
        "same_bits": 0.75,
    }


@pytest.mark.slow
@pytest.mark.usefixtures("the_core")
@pytest.mark.parametrize("model", ["mocovit_0_5", "timm/ghostnet_050", "timm/mobilenetv3_small_050"])
def test_the_reference_is_neither_kinder_nor_harsher_than_the_core(model: str) -> None:
    found = half.run_row(half.Row(model, 64))
    assert "error" not in found, found
    assert found["tflite"]["same_bits"] == 1, "XNNPACK's half kernels, to the last bit"
    core, reference = (found["onnx"][place] for place in ("core", "reference"))
    assert core["verdict"] == reference["verdict"]
    assert 0.5 < reference["error"] / core["error"] < 2
