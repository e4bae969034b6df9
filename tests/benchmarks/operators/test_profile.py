"""What ran of a file, and how it is matched with what the file consists of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bare_files import operators_of

from benchmarks.operators.profile import Executed, arithmetic, counted, partitions, read_profile, timed
from benchmarks.operators.xnnpack import match, why_outside
from mocovit_deploy.artifacts.operator import FileOperator
from mocovit_deploy.errors import DeployError

MODELS = Path(__file__).parents[1] / "models"


@pytest.fixture(autouse=True)
def readers() -> None:
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")


def event(kind: str, name: str, index: int, start_us: float = 0, elapsed_us: float = 1) -> dict[str, Any]:
    return {"kind": kind, "name": name, "index": index, "start_us": start_us, "elapsed_us": elapsed_us}


CONV, MEAN, DENSE = "Convolution (NHWC, F32) IGEMM", "Mean (ND) Reduce2", "Fully Connected (NC, F32) GEMM"

SPLIT = [  # as LiteRT 2.3.0 recorded split.tflite under the counting clock
    event("other", "LiteRT::Run[buffer registration]", 0, 25),
    event("other", "Invoke", 0, 27, 9),
    event("profiled", CONV, 0),
    event("operator", "CUMSUM", 2, 30),
    event("profiled", CONV, 0),
    event("profiled", MEAN, 2),
    event("profiled", DENSE, 3),
    event("other", "Invoke", -1, 0, 4294967296),
]


@pytest.fixture
def split() -> tuple[FileOperator, ...]:
    return operators_of(MODELS / "split.tflite")


def test_pieces_are_told_apart_and_operators_matched(split: tuple[FileOperator, ...]) -> None:
    found = read_profile("litert", [SPLIT], split)
    assert [(op.name, op.where, op.partition) for op in found] == [
        (CONV, "first", 0),
        ("CUMSUM", "(network)", None),
        (CONV, "second", 1),
        (MEAN, "(network)", 1),
        (DENSE, "serving_default_output_0_output", 1),
    ]
    pieces = partitions(found, split)
    assert (pieces.count, pieces.operators_inside) == (2, 6)
    assert [(group.kind, group.count) for group in pieces.outside] == [("CUMSUM", 1)]
    assert "no kernel for CUMSUM" in pieces.outside[0].reason


def test_two_pieces_that_follow_each_other_are_two(split: tuple[FileOperator, ...]) -> None:
    run = [event("delegate", CONV, 0), event("delegate", MEAN, 1), event("delegate", CONV, 0)]
    assert partitions(read_profile("tflite", [run], split), split).count == 2


def test_ticks_lead_to_instructions_per_operator(split: tuple[FileOperator, ...]) -> None:
    found = read_profile("litert", [SPLIT], split, ticking=True)
    assert [op.ticks for op in found] == [(28, 29), (30, 31), (32, 33), (33, 34), (34, 35)]
    at = {28: 100, 29: 600, 30: 610, 31: 650, 32: 660, 33: 1660, 34: 1760, 35: 1860}
    assert [op.instructions for op in counted(found, at)] == [500, 40, 1000, 100, 100]
    with pytest.raises(DeployError, match="tick 35"):
        counted(found, {tick: at[tick] for tick in at if tick != 35})


def test_an_operator_of_several_parts_takes_several_ticks() -> None:
    run = [
        event("other", "Invoke", 0, 10, 6),
        event("profiled", "Copy (NC, X32)", 0, elapsed_us=3),
        event("profiled", CONV, 1),
    ]
    assert [op.ticks for op in read_profile("litert", [run], (), ticking=True)] == [(11, 14), (14, 15)]


@pytest.mark.parametrize(
    "wrong",
    [
        [*SPLIT[:1], event("other", "Invoke", 0, 27, 12), *SPLIT[2:]],  # reads that nobody accounts for
        [*SPLIT[:3], event("operator", "CUMSUM", 2, 31), *SPLIT[4:]],
        [*SPLIT[:6], event("profiled", DENSE, 3), *SPLIT[6:]],
        SPLIT[2:],
    ],
)
def test_ticks_that_do_not_fit_are_refused(
    wrong: list[dict[str, Any]], split: tuple[FileOperator, ...]
) -> None:
    with pytest.raises(DeployError):
        read_profile("litert", [wrong], split, ticking=True)


def test_inferences_that_differ_are_refused(split: tuple[FileOperator, ...]) -> None:
    with pytest.raises(DeployError, match="different operators"):
        read_profile("litert", [SPLIT, SPLIT[:4]], split)


def test_times_are_means_over_the_runs(split: tuple[FileOperator, ...]) -> None:
    second = [{**each, "elapsed_us": 3} for each in SPLIT]
    assert {op.mean_ms for op in timed(read_profile("litert", [SPLIT, second], split))} == {0.002}


def test_matching_survives_fused_inserted_and_unknown_operators() -> None:
    kinds = ["PAD", "CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D", "RESHAPE", "FULLY_CONNECTED"]
    operators = [FileOperator(n, kind, f"m{n}") for n, kind in enumerate(kinds)]
    names = [CONV, "Transpose (ND, X32)", "Convolution (NHWC, F32) DWConv", "Sorcery (ND)", DENSE, DENSE]
    found = [operator.where if operator else None for operator in match(names, operators)]
    assert found == ["m1", None, "m2", None, "m3", "m5"]
    assert match([], operators) == []
    assert match(names, []) == [None] * len(names)


@pytest.mark.parametrize(
    ("name", "dtype", "expected"),
    [
        (CONV, "", "fp32"),
        ("Convolution (NHWC, F16) IGEMM", "", "fp16"),
        ("Fully Connected (NC, QS8, QC8W) GEMM", "", "int8"),
        ("Convolution (NHWC, QD8, F32, QC8W)", "", "int8"),
        ("CONV_2D", "float32", "fp32"),  # one of TFLite's own kernels
        ("Conv", "float", "fp32"),
        ("Conv", "float16", "fp16"),
        ("QLinearConv", "uint8", "int8"),
        ("Add (ND)", "float", "unknown"),
    ],
)
def test_the_arithmetic_is_that_of_what_multiplies(name: str, dtype: str, expected: str) -> None:
    assert arithmetic([Executed(name, "", 0, (1.0,), dtype)]) == expected


HALF_DENSE = "Fully Connected (NC, F16) GEMM"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((HALF_DENSE, CONV, CONV), "mixed"),
        ((HALF_DENSE, HALF_DENSE, CONV), "mixed"),
        ((CONV, "Add (ND, F16)"), "mixed"),
        ((CONV, "Convert (NC, F32, F16)"), "fp32"),
        ((HALF_DENSE, "Convert (NC, F16, F32)"), "fp16"),
        (("Fully Connected (NC, QS8, QC8W) GEMM",) * 2 + (HALF_DENSE, CONV), "int8 and fp16"),
        (("Fully Connected (NC, QS8, QC8W) GEMM", "Softmax (NC, F16)"), "int8 and fp16"),
        (("Fully Connected (NC, QS8, QC8W) GEMM", "Softmax (NC, F32)", CONV), "int8"),
    ],
)
def test_a_file_that_multiplies_in_fp16_and_in_fp32_is_mixed(names: tuple[str, ...], expected: str) -> None:
    assert arithmetic([Executed(name, "", 0, (1.0,)) for name in names]) == expected


@pytest.mark.parametrize(
    ("kind", "dtype", "says"),
    [
        ("HARD_SWISH", "int8", "no int8 kernel"),
        ("BATCH_MATMUL", "int8", "does not say why"),
        ("HARD_SWISH", "float32", "does not say why"),
        ("CUMSUM", "float32", "no kernel for CUMSUM"),
        ("CUSTOM Magic", "float32", "custom"),
        ("ADD", "int64", "int64"),
        ("CAST", "uint8", "takes no CAST"),
    ],
)
def test_reasons_are_given_only_where_they_are_known(kind: str, dtype: str, says: str) -> None:
    assert says in why_outside(kind, dtype, half_weights=False)
    assert "half precision" in why_outside("CONV_2D", "float32", half_weights=True)
