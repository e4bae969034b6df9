"""What a file consists of, read without running it."""

from __future__ import annotations

from pathlib import Path

import pytest
from bare_files import operators_of

from exporters.tflite.contents import module_of_output, read_interface
from mocovit_deploy.artifacts.operator import FileOperator, by_kind
from mocovit_deploy.errors import UsageError

MODELS = Path(__file__).parents[1] / "benchmarks" / "models"


@pytest.fixture(autouse=True)
def readers() -> None:
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")


def test_a_tflite_files_operators_have_kinds_types_and_modules() -> None:
    found = operators_of(MODELS / "tiny.tflite")
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
    assert [operator.where for operator in found[:5]] == [
        "stem",
        "stem",
        "(network)",
        "depthwise",
        "pointwise",
    ]
    assert {operator.dtype for operator in found} == {"float32"}
    int8 = operators_of(MODELS / "tiny_int8.tflite")
    assert {operator.dtype for operator in int8} == {"int8"}


def test_an_onnx_files_operators_have_kinds_and_modules() -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    found = operators_of(MODELS / "tiny.onnx")
    assert {operator.kind: operator.where for operator in found if operator.kind != "Conv"}["Gemm"] == "head"
    assert [op.where for op in found if op.kind == "Conv"] == ["stem", "depthwise", "pointwise"]


def test_a_module_written_beside_a_node_is_taken_as_it_is(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    node = onnx.helper.make_node("Relu", ["x"], ["y"], name="relu")
    node.metadata_props.add(key="module", value="blocks.0.act")
    graph = onnx.helper.make_graph([node], "g", [], [])
    onnx.save(onnx.helper.make_model(graph), str(tmp_path / "m.onnx"))
    assert [op.where for op in operators_of(tmp_path / "m.onnx")] == ["blocks.0.act"]


def test_kinds_are_counted_the_most_frequent_first() -> None:
    kinds = by_kind([FileOperator(n, kind, "") for n, kind in enumerate(["B", "A", "C", "B"])])
    assert list(kinds.items()) == [("B", 2), ("A", 1), ("C", 1)]


def test_the_interface_has_the_signatures_names_and_its_quantization() -> None:
    interface = read_interface(MODELS / "split.tflite")
    assert [tensor.name for tensor in interface.inputs] == ["args_0"]
    assert [tensor.name for tensor in interface.outputs] == ["output_0", "output_1"]
    (image,) = read_interface(MODELS / "tiny_int8.tflite").inputs
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
        ("ADD", "net.Net_wrapped;3", "(network)"),
        ("CONCATENATION", "m.Net/torch.nn.Sequential_blocks/m.Bottleneck_0/m.Ghost_up;", "blocks.0.up"),
        ("ADD", "m.Net/m.Block_1;;m.Net/m.Block_1/torch.nn.Conv2d_conv;", "1"),
        ("MEAN", "m.Net/m.SE_15;;m.Net/m.SE_13;", "15"),  # the axes are those of 13, shared
        ("DEPTHWISE_CONV_2D", "m.N/nn.ReLU_act;1;m.N/nn.ReLU_act;m.N/nn.Conv2d_cheap;1", "cheap"),
        ("FULLY_CONNECTED", "serving_default_output_0_output", "serving_default_output_0_output"),
        ("CONV_2D", "stem.2:relu;;stem.0:conv2d;1", "stem.0"),
        ("MUL", "blocks.3.se:mul;;blocks.3.se:hardsigmoid;;blocks.3.se.expand:conv2d_22;", "blocks.3.se"),
        ("MEAN", ":adaptive_avg_pool2d_7;;blocks.13.se:adaptive_avg_pool2d_5;", "(network)"),
        ("ADD", "", ""),
        ("ADD", "strange/name with spaces;1", "strange/name with spaces;1"),
    ],
)
def test_the_module_is_read_from_a_tensors_name(kind: str, name: str, module: str) -> None:
    assert module_of_output(name, kind) == module


@pytest.mark.parametrize("length", [0, 7, 8, 40, 2000, 5000])
def test_a_damaged_tflite_file_is_refused_in_one_line(length: int, tmp_path: Path) -> None:
    path = tmp_path / "cut.tflite"
    path.write_bytes((MODELS / "tiny.tflite").read_bytes()[:length])
    with pytest.raises(UsageError) as caught:
        operators_of(path)
    assert "\n" not in str(caught.value)


def test_what_is_no_onnx_file_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    path = tmp_path / "no.onnx"
    for data in (b"", b"\xff" * 100, (MODELS / "tiny.tflite").read_bytes()):
        path.write_bytes(data)
        with pytest.raises(UsageError, match="not an ONNX file"):
            operators_of(path)


def test_constants_of_onnx_are_told_apart(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    number = onnx.helper.make_tensor("number", onnx.TensorProto.FLOAT, [], [1.0])
    nodes = [
        onnx.helper.make_node("Constant", [], ["c"], value=number),
        onnx.helper.make_node("Relu", ["c"], ["y"]),
    ]
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", [], [])), str(tmp_path / "m.onnx"))
    assert [(op.kind, op.constant) for op in operators_of(tmp_path / "m.onnx")] == [
        ("Constant", True),
        ("Relu", False),
    ]
