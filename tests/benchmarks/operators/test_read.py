"""What a file consists of, what ran of it, and how the two are matched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.operators.profile import Executed, arithmetic, counted, partitions, read_profile, timed
from benchmarks.operators.read import Operator, by_kind, read_operators
from benchmarks.operators.tflite import module_path, read_interface
from benchmarks.operators.xnnpack import match, why_outside
from mocovit_deploy.errors import DeployError, UsageError

MODELS = Path(__file__).parents[1] / "models"


@pytest.fixture(autouse=True)
def readers() -> None:
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")


def test_a_tflite_files_operators_have_kinds_types_and_modules() -> None:
    found = read_operators(MODELS / "tiny.tflite", "tflite")
    assert [operator.kind for operator in found] == [
        "PAD",
        "CONV_2D",
        "HARD_SWISH",
        "DEPTHWISE_CONV_2D",
        "CONV_2D",
        "TRANSPOSE",
        "MEAN",
        "FULLY_CONNECTED",
    ]
    assert [operator.where for operator in found[:5]] == ["stem", "stem", "(root)", "depthwise", "pointwise"]
    assert {operator.dtype for operator in found} == {"float32"}
    int8 = read_operators(MODELS / "tiny_int8.tflite", "tflite")
    assert {operator.dtype for operator in int8} == {"int8"}


def test_an_onnx_files_operators_have_kinds_and_modules() -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    found = read_operators(MODELS / "tiny.onnx", "onnx")
    assert {operator.kind: operator.where for operator in found if operator.kind != "Conv"}["Gemm"] == "head"
    assert [op.where for op in found if op.kind == "Conv"] == ["stem", "depthwise", "pointwise"]


def test_a_module_written_beside_a_node_is_taken_as_it_is(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    node = onnx.helper.make_node("Relu", ["x"], ["y"], name="relu")
    node.metadata_props.add(key="module", value="blocks.0.act")
    graph = onnx.helper.make_graph([node], "g", [], [])
    onnx.save(onnx.helper.make_model(graph), str(tmp_path / "m.onnx"))
    assert [op.where for op in read_operators(tmp_path / "m.onnx", "onnx")] == ["blocks.0.act"]


def test_a_format_without_a_list_has_none() -> None:
    assert read_operators(MODELS / "tiny.tflite", "coreml") == ()


def test_kinds_are_counted_the_most_frequent_first() -> None:
    kinds = by_kind([Operator(n, kind, "") for n, kind in enumerate(["B", "A", "C", "B"])])
    assert list(kinds.items()) == [("B", 2), ("A", 1), ("C", 1)]


def test_the_interface_has_the_signatures_names_and_its_quantization() -> None:
    interface = read_interface(MODELS / "split.tflite")
    assert [tensor.name for tensor in interface.signature_inputs] == ["args_0"]
    assert [tensor.name for tensor in interface.signature_outputs] == ["output_0", "output_1"]
    assert {tensor.name for tensor in interface.subgraph_outputs} == {"output_0", "output_1"}
    (image,) = read_interface(MODELS / "tiny_int8.tflite").signature_inputs
    assert image.dtype == "int8"
    assert image.quantization is not None
    assert image.quantization.scale > 0


@pytest.mark.parametrize(
    ("kind", "name", "module"),
    [
        ("CONV_2D", "a.Wrapper/net.Net_wrapped/torch.nn.Sequential_stages/torch.nn.Conv2d_0;1", "stages.0"),
        ("CONV_2D", "net.Net_wrapped;;net.Net_wrapped/torch.nn.Conv2d_stem;2", "stem"),
        (
            "CONV_2D",
            "net.Net_wrapped/a.Block_inverted_residual/b.Conv_conv_dw;7",
            "inverted_residual.conv_dw",
        ),
        ("ADD", "net.Net_wrapped;3", "(root)"),
        ("CONCATENATION", "m.Net/torch.nn.Sequential_blocks/m.Bottleneck_0/m.Ghost_up;", "blocks.0.up"),
        ("ADD", "m.Net/m.Block_1;;m.Net/m.Block_1/torch.nn.Conv2d_conv;", "1"),
        ("MEAN", "m.Net/m.SE_15;;m.Net/m.SE_13;", "15"),  # the axes are those of 13, shared
        ("DEPTHWISE_CONV_2D", "m.N/nn.ReLU_act;1;m.N/nn.ReLU_act;m.N/nn.Conv2d_cheap;1", "cheap"),
        ("FULLY_CONNECTED", "serving_default_output_0_output", "serving_default_output_0_output"),
        ("CONV_2D", "stem.2:relu;;stem.0:conv2d;1", "stem.0"),
        ("MUL", "blocks.3.se:mul;;blocks.3.se:hardsigmoid;;blocks.3.se.expand:conv2d_22;", "blocks.3.se"),
        ("MEAN", ":adaptive_avg_pool2d_7;;blocks.13.se:adaptive_avg_pool2d_5;", "(root)"),
        ("ADD", "", ""),
        ("ADD", "strange/name with spaces;1", "strange/name with spaces;1"),
    ],
)
def test_the_module_is_read_from_a_tensors_name(kind: str, name: str, module: str) -> None:
    assert module_path(name, kind) == module


@pytest.mark.parametrize("length", [0, 7, 8, 40, 2000, 5000])
def test_a_damaged_tflite_file_is_refused_in_one_line(length: int, tmp_path: Path) -> None:
    path = tmp_path / "cut.tflite"
    path.write_bytes((MODELS / "tiny.tflite").read_bytes()[:length])
    with pytest.raises(UsageError) as caught:
        read_operators(path, "tflite")
    assert "\n" not in str(caught.value)


def test_what_is_no_onnx_file_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    path = tmp_path / "no.onnx"
    for data in (b"", b"\xff" * 100, (MODELS / "tiny.tflite").read_bytes()):
        path.write_bytes(data)
        with pytest.raises(UsageError, match="not an ONNX file"):
            read_operators(path, "onnx")


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
def split() -> tuple[Operator, ...]:
    return read_operators(MODELS / "split.tflite", "tflite")


def test_pieces_are_told_apart_and_operators_matched(split: tuple[Operator, ...]) -> None:
    found = read_profile("litert", [SPLIT], split)
    assert [(op.name, op.where, op.partition) for op in found] == [
        (CONV, "first", 0),
        ("CUMSUM", "(root)", None),
        (CONV, "second", 1),
        (MEAN, "(root)", 1),
        (DENSE, "serving_default_output_0_output", 1),
    ]
    pieces = partitions(found, split)
    assert (pieces.count, pieces.operators_inside) == (2, 6)
    assert [(group.kind, group.count) for group in pieces.outside] == [("CUMSUM", 1)]
    assert "no kernel for CUMSUM" in pieces.outside[0].reason


def test_two_pieces_that_follow_each_other_are_two(split: tuple[Operator, ...]) -> None:
    run = [event("delegate", CONV, 0), event("delegate", MEAN, 1), event("delegate", CONV, 0)]
    assert partitions(read_profile("tflite", [run], split), split).count == 2


def test_ticks_lead_to_instructions_per_operator(split: tuple[Operator, ...]) -> None:
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
def test_ticks_that_do_not_fit_are_refused(wrong: list[dict[str, Any]], split: tuple[Operator, ...]) -> None:
    with pytest.raises(DeployError):
        read_profile("litert", [wrong], split, ticking=True)


def test_inferences_that_differ_are_refused(split: tuple[Operator, ...]) -> None:
    with pytest.raises(DeployError, match="different operators"):
        read_profile("litert", [SPLIT, SPLIT[:4]], split)


def test_times_are_means_over_the_runs(split: tuple[Operator, ...]) -> None:
    second = [{**each, "elapsed_us": 3} for each in SPLIT]
    assert {op.mean_ms for op in timed(read_profile("litert", [SPLIT, second], split))} == {0.002}


def test_matching_survives_fused_inserted_and_unknown_operators() -> None:
    kinds = ["PAD", "CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D", "RESHAPE", "FULLY_CONNECTED"]
    operators = [Operator(n, kind, f"m{n}") for n, kind in enumerate(kinds)]
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


@pytest.mark.parametrize(
    ("kind", "dtype", "says"),
    [
        ("HARD_SWISH", "int8", "no int8 kernel"),
        ("HARD_SWISH", "float32", "does not say why"),
        ("CUMSUM", "float32", "no kernel for CUMSUM"),
        ("CUSTOM Magic", "float32", "custom"),
        ("ADD", "int64", "int64"),
    ],
)
def test_reasons_are_given_only_where_they_are_known(kind: str, dtype: str, says: str) -> None:
    assert says in why_outside(kind, dtype, half_weights=False)
    assert "half precision" in why_outside("CONV_2D", "float32", half_weights=True)
