"""The half-precision reference of TFLite files: against LiteRT here in fp32, against the core in fp16."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from half_operators import IMAGE, OperatorFile, artifact, digest, functions, on_the_core, operators
from tflite_builder import TfliteBuilder

from benchmarks.targets.emulated import qemu
from benchmarks.toolchain import bundle as bundles
from exporters.tflite.reference.delegate import FP16, FP32, WIDENED, arithmetics, delegate_pieces
from exporters.tflite.reference.execute import SEMANTICS, execute, macs_in_half, without_semantics
from exporters.tflite.reference.program import read_program
from exporters.tflite.reference.run import load_half
from exporters.tflite.run import load
from mocovit_deploy.errors import ConversionError, MissingToolError, ParityError

CORE = json.loads((Path(__file__).parent / "core_digests.json").read_bytes())
"""What the emulated Cortex-A76 computed with LiteRT 2.3.0 (tests/helpers/half_operators.py)."""


def files(half: bool) -> list[OperatorFile]:
    return [functions(half=half), *operators(half=half)]


@pytest.mark.parametrize("number", range(3))
def test_every_operator_in_fp16_is_the_cores_to_the_last_bit(number: int, tmp_path: Path) -> None:
    file = files(half=True)[number]
    predictor = load_half(artifact(file, tmp_path)[0])
    found = predictor(file.inputs)
    differing = [name for name, array in found.items() if digest(array) != CORE[name]]
    # The runtime's own power function is of its C library: float32, and off by one of its last bits.
    assert [name for name in differing if name != "power"] == []
    assert set(found) == set(file.outputs)


def test_the_core_still_computes_these_bits() -> None:
    if not bundles.bundle_folder("litert").is_dir():
        pytest.skip("no bundle of litert in the cache folder; run: mocovit-bench bundle")
    try:
        qemu.find_qemu()
    except MissingToolError as error:
        pytest.skip(str(error))
    found = on_the_core(operators()[0])
    assert {name: digest(array) for name, array in found.items()} == {name: CORE[name] for name in found}


@pytest.mark.parametrize("number", range(3))
def test_every_operator_in_fp32_is_what_litert_computes(number: int, tmp_path: Path) -> None:
    file = files(half=False)[number]
    made, _ = artifact(file, tmp_path)
    predictor = load_half(made)
    expected, found = load(made)(file.inputs), predictor(file.inputs)
    assert predictor.arithmetic == "fp32"
    for name, array in expected.items():
        # Functions of one value: where float32 kernels approximate, none is off where values are usual.
        usual = np.abs(file.inputs["x"]) < 20 if number == 0 else np.full(array.shape, fill_value=True)
        a, f = array[usual & np.isfinite(array)], found[name][usual & np.isfinite(array)]
        assert np.max(np.abs(a - f) / (np.abs(a) + 0.1), initial=0) < 5e-5, name


def test_every_operator_is_tried() -> None:
    tried: set[str] = set()
    with_more = {
        "BROADCAST_TO",
        "CUMSUM",
        "DEQUANTIZE",
        "RELU_0_TO_1",
        "SELECT",
        "SELECT_V2",
        "SPLIT_V",
        "STABLEHLO_REDUCE_WINDOW",
        "TILE",
    }
    for file in files(half=True):
        path = Path("operators.tflite")
        tried |= {step.kind for step in _program(file.data, path).steps}
    assert set(SEMANTICS) - tried == with_more


def _program(data: bytes, name: Path):  # type: ignore[no-untyped-def]
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(data)
        return read_program(Path(folder) / name)


def chain(*kinds: str, half: bool = True) -> bytes:
    """x through operators of one value each; "+" adds the constant 1."""
    file = TfliteBuilder()
    at = file.input("x", IMAGE)
    one = file.constant(np.ones(1, np.float32))
    for kind in kinds:
        at = file.op("ADD", [at, one], IMAGE) if kind == "+" else file.op(kind, [at], IMAGE)
    return file.file({"y": at}, half=half)


def test_pieces_and_their_arithmetic() -> None:
    program = _program(chain("+", "SIGN", "TANH", "+"), Path("a.tflite"))
    assert delegate_pieces(program) == (0, None, 1, 1)
    assert arithmetics(program) == (FP16, FP32, FP16, FP16)
    assert without_semantics(program) == ("SIGN",)
    unmarked = _program(chain("+", "TANH", half=False), Path("a.tflite"))
    assert arithmetics(unmarked) == (FP32, FP32)


def test_what_follows_a_sum_of_squares_is_float32() -> None:
    file = TfliteBuilder()
    x = file.input("x", IMAGE)
    square = file.op("SQUARE", [x], IMAGE)
    mean = file.op("MEAN", [square, file.constant(np.array([3], np.int32))], (1, 14, 14, 1), keepDims=True)
    divided = file.op("DIV", [x, mean], IMAGE)
    other = file.op("TANH", [x], IMAGE)
    program = _program(file.file({"a": divided, "b": other}), Path("a.tflite"))
    assert arithmetics(program) == (WIDENED, WIDENED, WIDENED, FP16)


def test_a_file_partly_in_fp16_is_mixed(tmp_path: Path) -> None:
    """Two linear layers, the second after an operator that leaves the piece in float32."""
    file = TfliteBuilder()
    x = file.input("x", (4, 8))
    weight = file.constant(np.eye(8, dtype=np.float32))
    first = file.op("FULLY_CONNECTED", [x, weight], (4, 8))
    square = file.op("SQUARE", [first], (4, 8))
    mean = file.op("MEAN", [square, file.constant(np.array([1], np.int32))], (4, 1), keepDims=True)
    scaled = file.op("MUL", [first, mean], (4, 8))
    second = file.op("FULLY_CONNECTED", [scaled, weight], (4, 8))
    made = OperatorFile(file.file({"y": second}), {"x": np.ones((4, 8), np.float32)}, {"y": (4, 8)})
    predictor = load_half(artifact(made, tmp_path)[0])
    assert predictor.arithmetic == "mixed"
    assert macs_in_half(predictor.program, predictor.steps) == (4 * 64, 2 * 4 * 64)


def test_a_file_that_multiplies_in_float32_and_adds_in_fp16_is_mixed(tmp_path: Path) -> None:
    file = TfliteBuilder()
    x = file.input("x", (4, 8))
    other = file.op("ADD", [x, x], (4, 8))
    square = file.op("SQUARE", [x], (4, 8))
    mean = file.op("MEAN", [square, file.constant(np.array([1], np.int32))], (4, 1), keepDims=True)
    weight = file.constant(np.eye(8, dtype=np.float32))
    dense = file.op("FULLY_CONNECTED", [file.op("MUL", [x, mean], (4, 8)), weight], (4, 8))
    inputs, outputs = {"x": np.ones((4, 8), np.float32)}, {"a": (4, 8), "b": (4, 8)}
    made = OperatorFile(file.file({"a": other, "b": dense}), inputs, outputs)
    predictor = load_half(artifact(made, tmp_path)[0])
    assert macs_in_half(predictor.program, predictor.steps) == (0, 4 * 64)
    assert predictor.arithmetic == "mixed"


def test_operators_without_semantics_are_named(tmp_path: Path) -> None:
    made = OperatorFile(chain("+", "SIGN"), {"x": np.ones(IMAGE, np.float32)}, {"y": IMAGE})
    predictor = load_half(artifact(made, tmp_path)[0])
    with pytest.raises(ParityError, match="no reference semantics for SIGN"):
        predictor(made.inputs)


def test_a_sum_times_a_constant_is_refused(tmp_path: Path) -> None:
    """XNNPACK reads the constant from memory it has not filled: 0 on the core, or the sum itself."""
    file = TfliteBuilder()
    x = file.input("x", IMAGE)
    total = file.op("SUM", [x, file.constant(np.array([3], np.int32))], (1, 14, 14, 1), keepDims=True)
    mean = file.op("MUL", [total, file.constant(np.array([1 / 24], np.float32))], (1, 14, 14, 1))
    made = OperatorFile(file.file({"y": mean}), {"x": np.ones(IMAGE, np.float32)}, {"y": (1, 14, 14, 1)})
    predictor = load_half(artifact(made, tmp_path)[0])
    with pytest.raises(ParityError, match="undefined in XNNPACK's fp16"):
        predictor(made.inputs)


def test_overflow_reaches_the_output(tmp_path: Path) -> None:
    made = OperatorFile(chain("EXP", "EXP"), {"x": np.full(IMAGE, 3.0, np.float32)}, {"y": IMAGE})
    assert np.isinf(load_half(artifact(made, tmp_path)[0])(made.inputs)["y"]).all()


def test_the_shape_of_a_scalar_is_empty(tmp_path: Path) -> None:
    file = TfliteBuilder()
    x = file.input("x", (1, 1))
    y = file.op("RESHAPE", [x, file.constant(np.zeros(0, np.int32))], ())
    made = OperatorFile(file.file({"y": y}), {"x": np.full((1, 1), 2, np.float32)}, {"y": ()})
    assert load_half(artifact(made, tmp_path)[0])(made.inputs)["y"] == 2


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tflite"
    for data in (b"", b"nothing of the kind", chain("+")[:200]):
        path.write_bytes(data)
        with pytest.raises(ConversionError, match="not a TFLite file"):
            read_program(path)


def test_wrong_inputs_are_refused() -> None:
    program = _program(chain("+"), Path("a.tflite"))
    with pytest.raises(ParityError, match="input x"):
        execute(program, {"x": np.ones((2, 2), np.float32)}, arithmetics(program))
