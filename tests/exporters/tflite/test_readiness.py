"""Every rule of the GPU delegate has a file that breaks it; XNNPACK is told by precision."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")

from tflite_builder import TfliteBuilder

from exporters.tflite.gpu import RULES, broken_rule
from exporters.tflite.readiness import readiness
from exporters.tflite.reference.program import read_program
from mocovit_deploy.errors import ConversionError, MissingToolError

IMAGE = (1, 4, 4, 8)


def gather_nd(b, x):
    return b.op("GATHER_ND", [x, b.constant(np.array([[0, 1, 1]], np.int32))], (1, 8))


def select(b, x):
    return b.op("SELECT_V2", [b.op("GREATER", [x, b.constant([0.0])], IMAGE, dtype="bool"), x, x], IMAGE)


def split(b, x):
    return b.op("SPLIT", [b.constant(np.int32(3)), x], (1, 4, 4, 4), (1, 4, 4, 4), numSplits=2)


def wide(b, x):
    return b.op("CAST", [x], IMAGE, dtype="int64")


def rank_5(b, x):
    return b.op("RESHAPE", [x, b.constant([1, 2, 2, 4, 8])], (1, 2, 2, 4, 8))


def itself(b, x):
    return b.op("DIV", [x, x], IMAGE)


def cut_rank_2(b, x):
    flat = b.op("RESHAPE", [x, b.constant([4, 32])], (4, 32))
    return b.op("SLICE", [flat, b.constant([0, 0]), b.constant([1, 32])], (1, 32))


def dropped_axis(b, x):
    ends = [b.constant([0, 0, 0, 0]), b.constant([1, 4, 4, 8]), b.constant([1, 1, 1, 1])]
    return b.op("STRIDED_SLICE", [x, *ends], (4, 4, 8), shrinkAxisMask=1)


def pad_rank_2(b, x):
    flat = b.op("RESHAPE", [x, b.constant([4, 32])], (4, 32))
    return b.op("PAD", [flat, b.constant([[0, 0], [1, 1]])], (4, 34))


def repeated_border(b, x):
    return b.op("MIRROR_PAD", [x, b.constant([[0, 0], [1, 1], [1, 1], [0, 0]])], (1, 6, 6, 8), mode=1)


def two_rows(b, x):
    return b.op("GATHER", [x, b.constant([[0, 1], [1, 0]])], (1, 2, 2, 8), axis=1)


def given_axes(b, x):
    return b.op("MEAN", [x, b.input("axes", (2,), "int32")], (1, 8))


def constant_reduced(b, x):
    number = b.op("SUM", [b.constant(np.ones((1, 8))), b.constant([0])], (8,))
    return b.op("ADD", [x, number], IMAGE)


def scaled_softmax(b, x):
    return b.op("SOFTMAX", [x], IMAGE, beta=2.0)


def both_ways(b, x):
    aligned = {"alignCorners": True, "halfPixelCenters": True}
    return b.op("RESIZE_BILINEAR", [x, b.constant([8, 8])], (1, 8, 8, 8), **aligned)


def single_pixels(b, x):
    return b.op("SPACE_TO_DEPTH", [x], IMAGE, blockSize=1)


def rank_3_convolution(b, _x):
    y = b.input("rows", (1, 4, 8))
    return b.op("DEPTHWISE_CONV_2D", [y, b.constant(np.ones((1, 1, 1, 8)))], (1, 4, 8))


def fused_sign(b, x):
    return b.op("MUL", [x, b.constant([2.0])], IMAGE, fusedActivationFunction=5)


BREAKERS = (
    *(gather_nd, select, split, wide, rank_5, itself, cut_rank_2, dropped_axis, pad_rank_2, repeated_border),
    *(two_rows, given_axes, constant_reduced, scaled_softmax, both_ways, single_pixels, rank_3_convolution),
    fused_sign,
)


def written(make, folder):
    b = TfliteBuilder()
    y = make(b, b.input("image", IMAGE))
    path = folder / f"{make.__name__}.tflite"
    path.write_bytes(b.file({"y": y}))
    return path


def delegates(path):
    return {one.delegate: one for one in readiness(SimpleNamespace(path=path))}


def test_every_rule_is_broken_by_a_file(tmp_path):
    """In their order: the n-th file breaks the n-th rule and none before it."""
    broken = []
    for make in BREAKERS:
        program = read_program(written(make, tmp_path))
        found = [rule for step in program.steps if (rule := broken_rule(program, step)) is not None]
        broken.append(found[-1] if found else None)
    assert [RULES.index(rule) for rule in broken] == list(range(len(RULES)))


def sound(b, x):
    y = b.op("CONV_2D", [x, b.constant(np.ones((8, 3, 3, 8)))], IMAGE, fusedActivationFunction=1)
    y = b.op("ADD", [y, x], IMAGE)
    y = b.op("PAD", [y, b.constant([[0, 0], [1, 1], [1, 1], [0, 0]])], (1, 6, 6, 8))
    y = b.op("MEAN", [y, b.constant([1, 2])], (1, 8))
    return b.op("SOFTMAX", [b.op("MUL", [y, y], (1, 8))], (1, 8), beta=1.0)


def test_a_sound_file_breaks_none(tmp_path):
    found = delegates(written(sound, tmp_path))
    assert list(found) == ["GPU delegate", "XNNPACK, fp32", "XNNPACK, fp16"]
    assert all(one.operators == 6 and not one.outside and not one.remarks for one in found.values())


def test_what_is_outside_names_module_reason_and_source(tmp_path):
    (obstacle,) = delegates(written(gather_nd, tmp_path))["GPU delegate"].outside
    assert (obstacle.kind, obstacle.why) == ("GATHER_ND", "the delegate has no GATHER_ND")
    assert obstacle.source.startswith("LiteRT")


def squares(b, x):
    return b.op("SUM", [b.op("SQUARE", [x], IMAGE), b.constant([3])], (1, 4, 4))


def test_what_is_widened_in_half_precision_is_remarked(tmp_path):
    found = delegates(written(squares, tmp_path))
    assert not found["XNNPACK, fp32"].remarks
    assert [one.kind for one in found["XNNPACK, fp16"].remarks] == ["SQUARE", "SUM"]


def cumulated(b, x):
    return b.op("CUMSUM", [x, b.constant(np.int32(1))], IMAGE)


def test_xnnpack_leaves_out_what_it_does_not_know(tmp_path):
    found = delegates(written(cumulated, tmp_path))
    assert not found["GPU delegate"].outside
    assert [one.kind for one in found["XNNPACK, fp32"].outside] == ["CUMSUM"]


def test_int8_is_told_by_the_measured_table(tmp_path):
    """The softmax of an int8 file: XNNPACK has none in int8, and none of int16 at all."""
    from ai_edge_litert import schema_py_generated as schema

    for kind, dtype, outside in (
        ("SOFTMAX", schema.TensorType.INT8, ["SOFTMAX"]),
        ("LOGISTIC", schema.TensorType.INT8, []),
        ("LOGISTIC", schema.TensorType.INT16, ["LOGISTIC"]),
    ):
        b = TfliteBuilder()
        y = b.op(kind, [b.input("image", IMAGE)], IMAGE)
        for tensor in b.graph.tensors:
            tensor.type, tensor.quantization = dtype, schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [1 / 256], [0]
        path = tmp_path / f"{kind}{dtype}.tflite"
        path.write_bytes(b.file({"y": y}, half=False))
        assert [one.kind for one in delegates(path)["XNNPACK, int8"].outside] == outside


def test_a_file_that_is_none_is_refused(tmp_path):
    path = tmp_path / "a.tflite"
    path.write_bytes(b"not a model")
    with pytest.raises(ConversionError, match="not a TFLite file"):
        readiness(SimpleNamespace(path=path))


def test_without_the_package_it_is_the_package_that_is_named(tmp_path, monkeypatch):
    path = written(sound, tmp_path)

    def missing(module, _extra):
        raise MissingToolError(f"{module} is not installed")

    monkeypatch.setattr("exporters.tflite.flatbuffer.needs_extra", missing)
    with pytest.raises(MissingToolError, match="ai_edge_litert"):
        readiness(SimpleNamespace(path=path))


def test_the_analyzer_of_litert_has_lost_its_check(tmp_path):
    """It calls everything compatible. Once this fails, ask it too."""
    from ai_edge_litert import _pywrap_analyzer_wrapper as analyzer

    said = analyzer.ModelAnalyzer(str(written(scaled_softmax, tmp_path)), True, True)
    assert "looks compatible with GPU delegate" in said
