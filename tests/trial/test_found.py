"""Every network of the trial that went wrong, as small as it could be made, and what was wrong with it."""

import pytest
from campaign import networks

FOUND = [
    # litert-torch's converter crashes, and ended the export of every format
    ("network", 54, "2,4,5", "fp16", "onnx,tflite"),
    # two truth values multiplied: the file did not run
    ("network", 30, "7", "fp32", "tflite"),
    # LiteRT was asked for row -1 of a table, to find out its arithmetic
    ("network", 58, "", "fp16", "tflite"),
    # refusals that named no module: an operator that LiteRT does not have, ones that coremltools does not
    ("network", 5, "3", "fp16", "coreml,tflite"),
    ("network", 7, "1", "fp32", "coreml"),
    ("network", 52, "", "fp32", "coreml"),
    # circular padding, and a sigmoid's logarithm, in Core ML
    ("network", 29, "", "fp32", "coreml"),
    ("network", 1, "", "fp16", "coreml"),
    # the trial's own judge, of bfloat16
    ("bfloat16", 14, "", "fp32", "onnx"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "seed", "keep", "precision", "formats"), FOUND)
def test_what_was_wrong_is_right(kind, seed, keep, precision, formats, tmp_path):
    pieces = [int(one) for one in keep.split(",")] if keep else None
    case = networks.of_grammar(f"{kind}-{seed}", seed, kind, precision, pieces)
    row = networks.tried(case, tmp_path / "case", tuple(formats.split(",")))
    assert row["wrong"] == []
    assert {one["format"] for one in row["files"]} == set(formats.split(","))
