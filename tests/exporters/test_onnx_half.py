"""The half-precision reference of ONNX files: each operator beside float64, overflow, and what it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from exporters.onnx.half import RUNTIME, load_half
from mocovit_deploy.artifacts.artifact import Array, Artifact
from mocovit_deploy.errors import ConversionError, ParityError
from mocovit_deploy.spec import Preprocessing

DRAW = np.random.default_rng(4)


def described(path: Path) -> Artifact:
    return Artifact(
        path=path,
        format="onnx",
        recipe="fp16",
        model="m",
        weights="random",
        inputs=(),
        outputs=(),
        preprocessing=Preprocessing(),
        sha256="",
        golden_sha256="",
    )


def model(kind: str, x: Array, constants: Sequence[Array], attributes: dict[str, object]) -> onnx.ModelProto:
    """x - cast to the type of `constants`, as the converter writes it - one operator - cast back."""
    names = [f"c{n}" for n in range(len(constants))]
    inner = constants[0].dtype if constants else np.dtype(np.float16)
    outer, inside = (helper.np_dtype_to_tensor_dtype(dtype) for dtype in (x.dtype, inner))
    nodes = [
        helper.make_node("Cast", ["x"], ["cast"], to=inside),
        helper.make_node(kind, ["cast", *names], ["made"], **attributes),
        helper.make_node("Cast", ["made"], ["y"], to=outer),
    ]
    ends = (
        [helper.make_tensor_value_info("x", outer, x.shape)],
        [helper.make_tensor_value_info("y", outer, None)],
    )
    kept = [numpy_helper.from_array(c, n) for n, c in zip(names, constants, strict=True)]
    graph = helper.make_graph(nodes, "g", *ends, kept)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def file(folder: Path, kind: str, x: Array, *constants: Array, **attributes: object) -> Artifact:
    path = folder / "m.onnx"
    onnx.save(model(kind, x, constants, attributes), path)
    return described(path)


def drawn(*shape: int) -> Array:
    return DRAW.standard_normal(shape).astype(np.float16)


UNEVEN = {"pads": [1, 0, 2, 1], "strides": [2, 1]}
SAME = {"group": 5, "auto_pad": "SAME_UPPER"}
CASES = {
    "conv": ("Conv", drawn(1, 4, 9, 8), (drawn(6, 4, 3, 3), drawn(6)), UNEVEN),
    "dilated": ("Conv", drawn(2, 4, 6, 6), (drawn(8, 4, 3, 3),), {"dilations": [2, 2]}),
    "depthwise": ("Conv", drawn(1, 5, 7, 7), (drawn(5, 1, 3, 3), drawn(5)), SAME),
    "conv_1d": ("Conv", drawn(1, 3, 9), (drawn(4, 3, 3),), {"pads": [1, 1]}),
    "matmul": ("MatMul", drawn(2, 3, 8), (drawn(8, 5),), {}),
    "vector": ("MatMul", drawn(8), (drawn(8, 5),), {}),
    "gemm": ("Gemm", drawn(3, 8), (drawn(5, 8), drawn(5)), {"transB": 1}),
    "scaled": ("Gemm", drawn(8, 3), (drawn(8, 5), drawn(3, 5)), {"transA": 1, "alpha": 0.5, "beta": 2.0}),
}


@pytest.mark.parametrize("name", CASES)
def test_each_operator_is_float64s_but_for_rounding(name: str, tmp_path: Path) -> None:
    kind, x, constants, attributes = CASES[name]
    found = load_half(file(tmp_path, kind, x.astype(np.float32), *constants, **attributes))
    made = found({"x": x.astype(np.float32)})["y"]
    wide = model(kind, x.astype(np.float64), [one.astype(np.float64) for one in constants], attributes)
    exact = ReferenceEvaluator(wide).run(None, {"x": x.astype(np.float64)})[0]
    assert (made.shape, made.dtype) == (exact.shape, np.float32)
    error = np.abs(made - exact).max() / np.ptp(exact)
    assert 1e-5 < error < 4e-3, "rounded to fp16, and no more than that"


def test_sums_are_rounded_to_fp16_at_every_term(tmp_path: Path) -> None:
    """2048 + 1 is 2048 in fp16, so a sum in fp16 never gets beyond it; in fp32 it would be 2148."""
    x = np.ones((4, 101), np.float32)
    weight = np.full((101, 2), 1, np.float16)
    weight[0] = 2048
    assert (load_half(file(tmp_path, "MatMul", x, weight))({"x": x})["y"] == 2048).all()


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("ceil", [False, True])
def test_the_largest_of_a_window_is_torchs(stride: int, ceil: bool, tmp_path: Path) -> None:
    x = drawn(1, 2, 7, 6).astype(np.float32)
    how = {"kernel_shape": [3, 3], "strides": [stride] * 2, "pads": [1] * 4, "ceil_mode": int(ceil)}
    found = load_half(file(tmp_path, "MaxPool", x, **how))({"x": x})["y"]
    expected = torch.nn.functional.max_pool2d(torch.from_numpy(x), 3, stride, 1, ceil_mode=ceil)
    assert np.array_equal(found, expected.numpy())


def test_overflow_is_a_result(tmp_path: Path) -> None:
    x = np.full((4, 8), 300, np.float32)
    weight = np.full((8, 2), 300, np.float16)
    assert np.isinf(load_half(file(tmp_path, "MatMul", x, weight))({"x": x})["y"]).all()


def test_the_reference_says_what_it_is_and_counts_multiplications(tmp_path: Path) -> None:
    _, x, constants, attributes = CASES["conv"]
    predictor = load_half(file(tmp_path, "Conv", x.astype(np.float32), *constants, **attributes))
    assert (predictor.arithmetic, predictor.runtime) == ("fp16", RUNTIME)
    assert predictor.macs == 6 * (5 * 7) * 4 * 9


@pytest.mark.parametrize(
    ("shape", "groups", "wrong"),
    [
        ((8, 2, 1, 1), 2, True),
        ((8, 1, 3, 3), 4, True),
        ((2, 2, 3, 3), 2, True),
        ((4, 1, 3, 3), 4, False),
        ((8, 4, 1, 1), 1, False),
    ],
)
def test_grouped_convolutions_which_onnxruntime_computes_wrongly_are_refused(
    shape: tuple[int, ...], groups: int, wrong: bool, tmp_path: Path
) -> None:
    x = drawn(1, 4, 6, 6).astype(np.float32)
    half = load_half(file(tmp_path, "Conv", x, drawn(*shape), group=groups))
    if wrong:
        with pytest.raises(ParityError, match=r"grouped convolutions wrongly in fp16 .*output made\)"):
            half({"x": x})
    else:
        assert np.isfinite(half({"x": x})["y"]).all()


def test_hard_sigmoid_and_hard_swish_round_at_every_step(tmp_path: Path) -> None:
    """As on the core: the slope 1/6 is 0.16663 in fp16."""
    x = np.array([[0.5, 1.0, -4.0, 4.0]], np.float32)
    slope, half = np.float16(1 / 6), x.astype(np.float16)
    expected = np.clip(half * slope + np.float16(0.5), np.float16(0), np.float16(1))
    sigmoid = load_half(file(tmp_path, "HardSigmoid", x, alpha=1 / 6, beta=0.5))({"x": x})["y"]
    assert np.array_equal(sigmoid, expected)
    swish = load_half(file(tmp_path, "HardSwish", x))({"x": x})["y"]
    assert np.array_equal(swish, half * expected)


def test_denormal_numbers_are_kept(tmp_path: Path) -> None:
    x = np.full((4, 1), 2.0**-10, np.float32)
    weight = np.full((1, 2), 2.0**-10, np.float16)
    assert (load_half(file(tmp_path, "MatMul", x, weight))({"x": x})["y"] == 2.0**-20).all()


def test_an_operator_that_it_does_not_know_is_named(tmp_path: Path) -> None:
    x = np.ones((2, 2), np.float32)
    predictor = load_half(file(tmp_path, "Mystery", x))
    with pytest.raises(ParityError, match="Mystery"):
        predictor({"x": x})


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"\x08\x99garbage")
    with pytest.raises(ConversionError, match="cannot read it"):
        load_half(described(tmp_path / "m.onnx"))
