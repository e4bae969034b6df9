"""Files that hold every operator of the half-precision reference, and what the emulated core made of them.

PYTHONPATH=.:tests/helpers python tests/helpers/half_operators.py > tests/exporters/tflite/core_digests.json
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tflite_builder import TfliteBuilder

from mocovit_deploy.artifacts.artifact import Array, Artifact
from mocovit_deploy.artifacts.golden import Golden
from mocovit_deploy.spec import Preprocessing, TensorSpec

SAME, VALID = 0, 1
IMAGE = (1, 14, 14, 24)
PLAIN = (
    "LOGISTIC",
    "EXP",
    "LOG",
    "TANH",
    "HARD_SWISH",
    "RSQRT",
    "SQRT",
    "ABS",
    "NEG",
    "FLOOR",
    "CEIL",
    "ROUND",
    "SQUARE",
    "RELU",
    "RELU6",
    "RELU_N1_TO_1",
    "ELU",
)


@dataclass(frozen=True)
class OperatorFile:
    """A file, numbers for its inputs, and the shapes of its outputs."""

    data: bytes
    inputs: dict[str, Array]
    outputs: dict[str, tuple[int, ...]]


def every_half() -> Array:
    """Every finite fp16 number, as float32 (1, 63488)."""
    numbers = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    return numbers[np.isfinite(numbers)].astype(np.float32)[None]


def functions(*, half: bool = True) -> OperatorFile:
    """Every function of one value, of every fp16 number."""
    x = every_half()
    file = TfliteBuilder()
    source = file.input("x", x.shape)
    made = {kind.lower(): file.op(kind, [source], x.shape) for kind in PLAIN}
    made["gelu"] = file.op("GELU", [source], x.shape, approximate=False)
    made["gelu_by_tanh"] = file.op("GELU", [source], x.shape, approximate=True)
    made["leaky_relu"] = file.op("LEAKY_RELU", [source], x.shape, alpha=0.1)
    return OperatorFile(
        file.file(dict(sorted(made.items())), half=half), {"x": x}, dict.fromkeys(made, x.shape)
    )


def operators(*, half: bool = True) -> tuple[OperatorFile, OperatorFile]:
    """Sums, convolutions and all else, with seeded random numbers; XNNPACK takes all of the first file."""
    return (
        _one_file(_sums, half=half),
        _one_file(_elements_and_shapes, half=half),
    )


def _one_file(fill: object, *, half: bool) -> OperatorFile:
    draw = _Draw()
    file = TfliteBuilder()
    inputs = {"q": (1, 4, 49, 30), "v": (1, 37), "x": IMAGE}
    places = {name: file.input(name, shape) for name, shape in inputs.items()}
    made = fill(file, draw, places)  # type: ignore[operator]
    numbers = {name: draw(*shape) for name, shape in inputs.items()}
    shapes = {name: tuple(map(int, file.graph.tensors[index].shape)) for name, index in made.items()}
    return OperatorFile(file.file(dict(sorted(made.items())), half=half), numbers, shapes)


class _Draw:
    def __init__(self) -> None:
        self._generator = np.random.default_rng(7)

    def __call__(self, *shape: int) -> Array:
        return self._generator.standard_normal(shape).astype(np.float32)


def _axes(*numbers: int) -> Array:
    return np.array(numbers, np.int32)


def _sums(f: TfliteBuilder, draw: _Draw, at: dict[str, int]) -> dict[str, int]:
    x, v, q = at["x"], at["v"], at["q"]
    made: dict[str, int] = {}

    def conv(name: str, weight: tuple[int, ...], out: tuple[int, ...], kind: str = "CONV_2D", **options: int):  # type: ignore[no-untyped-def]
        fan = np.prod(weight[1:]) if kind == "CONV_2D" else np.prod(weight[1:3])
        filters, bias = draw(*weight) / np.sqrt(fan), draw(out[-1]) * 0.3
        made[name] = f.op(kind, [x, f.constant(filters), f.constant(bias)], out, **options)

    conv("conv 1x1", (16, 1, 1, 24), (1, 14, 14, 16), padding=VALID)
    conv("conv 1x1 /2", (17, 1, 1, 24), (1, 7, 7, 17), padding=SAME, strideH=2, strideW=2)
    conv("conv 3x3", (16, 3, 3, 24), (1, 14, 14, 16), padding=SAME)
    conv("conv 3x3 /2", (17, 3, 3, 24), (1, 7, 7, 17), padding=SAME, strideH=2, strideW=2)
    conv("conv 3x3 relu6", (16, 3, 3, 24), (1, 14, 14, 16), padding=SAME, fusedActivationFunction=3)
    conv("conv 3x3 groups", (18, 3, 3, 8), (1, 14, 14, 18), padding=SAME)
    conv("conv 1 row", (5, 14, 14, 24), (1, 1, 1, 5), padding=VALID)
    conv("conv 2 rows", (5, 13, 14, 24), (1, 2, 1, 5), padding=VALID)
    for taps in (1, 2, 3, 5, 7):
        conv(f"depthwise {taps}x{taps}", (1, taps, taps, 24), IMAGE, "DEPTHWISE_CONV_2D", padding=SAME)
    conv("depthwise 2x4", (1, 2, 4, 24), IMAGE, "DEPTHWISE_CONV_2D", padding=SAME)
    conv("depthwise 3x4", (1, 3, 4, 24), IMAGE, "DEPTHWISE_CONV_2D", padding=SAME)
    conv(
        "depthwise 3x3 /2",
        (1, 3, 3, 24),
        (1, 7, 7, 24),
        "DEPTHWISE_CONV_2D",
        padding=SAME,
        strideH=2,
        strideW=2,
    )
    conv(
        "depthwise 3x3 x2",
        (1, 3, 3, 48),
        (1, 14, 14, 48),
        "DEPTHWISE_CONV_2D",
        padding=SAME,
        depthMultiplier=2,
    )
    conv(
        "depthwise 3x3 dilated",
        (1, 3, 3, 24),
        IMAGE,
        "DEPTHWISE_CONV_2D",
        padding=SAME,
        dilationHFactor=2,
        dilationWFactor=2,
    )
    for name, shape, taps, padding, stride, bias in (
        ("transposed 4x4 /2", (1, 28, 28, 6), 4, SAME, 2, True),
        ("transposed 3x3", (1, 16, 16, 6), 3, VALID, 1, False),
        ("transposed 3x3 /2", (1, 28, 28, 6), 3, SAME, 2, False),
    ):
        given = [f.constant(_axes(*shape)), f.constant(draw(6, taps, taps, 24) * 0.1), x]
        given += [f.constant(draw(6))] if bias else []
        made[name] = f.op("TRANSPOSE_CONV", given, shape, padding=padding, strideH=stride, strideW=stride)
    made["linear 1 row"] = f.op(
        "FULLY_CONNECTED", [v, f.constant(draw(33, 37) * 0.2), f.constant(draw(33))], (1, 33)
    )
    made["linear"] = f.op(
        "FULLY_CONNECTED", [x, f.constant(draw(20, 24) * 0.2), f.constant(draw(20))], (196, 20)
    )
    made["matmul transposed"] = f.op("BATCH_MATMUL", [q, q], (1, 4, 49, 49), adjX=False, adjY=True)
    turned = f.op("TRANSPOSE", [q, f.constant(_axes(0, 1, 3, 2))], (1, 4, 30, 49))
    made["matmul"] = f.op("BATCH_MATMUL", [q, turned], (1, 4, 49, 49), adjX=False, adjY=False)
    for name, kind, axes, shape in (
        ("mean of rows and columns", "MEAN", (1, 2), (1, 1, 1, 24)),
        ("mean of channels", "MEAN", (3,), (1, 14, 14, 1)),
        ("mean of rows", "MEAN", (1,), (1, 1, 14, 24)),
        ("sum of rows and columns", "SUM", (1, 2), (1, 1, 1, 24)),
        ("sum of channels", "SUM", (3,), (1, 14, 14, 1)),
        ("largest channel", "REDUCE_MAX", (3,), (1, 14, 14, 1)),
        ("smallest place", "REDUCE_MIN", (1, 2), (1, 1, 1, 24)),
    ):
        made[name] = f.op(kind, [x, f.constant(_axes(*axes))], shape, keepDims=True)
    made["softmax"] = f.op("SOFTMAX", [x], IMAGE)
    made["softmax of 49"] = f.op("SOFTMAX", [turned], (1, 4, 30, 49))
    for name, size, stride, padding, shape in (
        ("average 2x2", 2, 2, VALID, (1, 7, 7, 24)),
        ("average 3x3", 3, 1, SAME, IMAGE),
        ("average 7x7", 7, 7, VALID, (1, 2, 2, 24)),
        ("average 14x14", 14, 1, VALID, (1, 1, 1, 24)),
    ):
        made[name] = f.op(
            "AVERAGE_POOL_2D",
            [x],
            shape,
            padding=padding,
            strideH=stride,
            strideW=stride,
            filterHeight=size,
            filterWidth=size,
        )
    made["largest 3x3"] = f.op(
        "MAX_POOL_2D", [x], (1, 7, 7, 24), padding=SAME, strideH=2, strideW=2, filterHeight=3, filterWidth=3
    )
    for name, corners, centres in (
        ("centres", False, True),
        ("corners", True, False),
        ("plain", False, False),
    ):
        made[f"bilinear {name}"] = f.op(
            "RESIZE_BILINEAR",
            [x, f.constant(_axes(25, 33))],
            (1, 25, 33, 24),
            alignCorners=corners,
            halfPixelCenters=centres,
        )
    return made


def _elements_and_shapes(f: TfliteBuilder, draw: _Draw, at: dict[str, int]) -> dict[str, int]:
    x = at["x"]
    y = f.op("MUL", [x, f.constant(draw(24))], IMAGE)
    made = {
        kind.lower(): f.op(kind, [x, y], IMAGE)
        for kind in ("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE")
    }
    widths = f.constant(np.array([[0, 0], [1, 2], [0, 1], [0, 0]], np.int32))
    square = f.op("MUL", [x, x], IMAGE)
    made["prelu"] = f.op("PRELU", [x, f.constant(draw(1, 1, 24))], IMAGE)
    made["constant minus"] = f.op("SUB", [f.constant(draw(1)), x], IMAGE)
    made["add and relu"] = f.op("ADD", [x, y], IMAGE, fusedActivationFunction=1)
    made["power"] = f.op("POW", [square, f.constant(np.array([0.7], np.float32))], IMAGE)
    made["concatenation"] = f.op("CONCATENATION", [x, y], (1, 14, 14, 48), axis=3)
    made["pad"] = f.op("PAD", [x, widths], (1, 17, 15, 24))
    made["pad with"] = f.op("PADV2", [x, widths, f.constant(np.array(1.23456, np.float32))], (1, 17, 15, 24))
    made["mirrored"] = f.op("MIRROR_PAD", [x, widths], (1, 17, 15, 24), mode=0)
    made["transpose"] = f.op("TRANSPOSE", [x, f.constant(_axes(0, 3, 1, 2))], (1, 24, 14, 14))
    made["reshape"] = f.op("RESHAPE", [x, f.constant(_axes(1, 196, 24))], (1, 196, 24))
    made["slice"] = f.op(
        "SLICE", [x, f.constant(_axes(0, 1, 2, 3)), f.constant(_axes(1, 4, 5, 6))], (1, 4, 5, 6)
    )
    for name, stride, shape in (("cut", 1, (1, 8, 7, 6)), ("cut by steps", 2, (1, 4, 7, 6))):
        bounds = [_axes(0, 1, 2, 3), _axes(1, 9, 9, 9), _axes(1, stride, 1, 1)]
        made[name] = f.op(
            "STRIDED_SLICE",
            [x, *map(f.constant, bounds)],
            shape,
            beginMask=0,
            endMask=0,
            shrinkAxisMask=0,
            ellipsisMask=0,
            newAxisMask=0,
        )
    made["split"] = f.op("SPLIT", [f.constant(_axes(3)), x], (1, 14, 14, 12), (1, 14, 14, 12), numSplits=2)
    made["pack"] = f.op("PACK", [x, y], (2, *IMAGE), axis=0, valuesCount=2)
    made["unpack"] = f.op("UNPACK", [x], IMAGE[1:], axis=0, num=1)
    made["expand"] = f.op("EXPAND_DIMS", [x, f.constant(_axes(0))], (1, *IMAGE))
    made["squeeze"] = f.op("SQUEEZE", [x], IMAGE[1:], squeezeDims=[0])
    made["gather"] = f.op("GATHER", [x, f.constant(_axes(3, 1, 5))], (1, 14, 14, 3), axis=3)
    made["depth to space"] = f.op("DEPTH_TO_SPACE", [x], (1, 28, 28, 6), blockSize=2)
    made["space to depth"] = f.op("SPACE_TO_DEPTH", [x], (1, 7, 7, 96), blockSize=2)
    made["nearest"] = f.op(
        "RESIZE_NEAREST_NEIGHBOR",
        [x, f.constant(_axes(28, 28))],
        (1, 28, 28, 24),
        alignCorners=False,
        halfPixelCenters=True,
    )
    whole = f.op("CAST", [x], IMAGE, dtype="int32", inDataType=0, outDataType=2)
    made["cast"] = f.op("CAST", [whole], IMAGE, inDataType=2, outDataType=0)
    return made


def artifact(file: OperatorFile, folder: Path) -> tuple[Artifact, Golden]:
    """The file written into `folder`, and its inputs; what it should give is not known."""
    path = folder / "operators.tflite"
    path.write_bytes(file.data)
    inputs = tuple(TensorSpec(name, array.shape, "float32", "") for name, array in file.inputs.items())
    outputs = tuple(TensorSpec(name, shape, "float32", "") for name, shape in file.outputs.items())
    golden = Golden(
        ("random",),
        {name: array[None] for name, array in file.inputs.items()},
        {name: np.zeros((1, *shape), np.float32) for name, shape in file.outputs.items()},
    )
    made = Artifact(
        path=path,
        format="tflite",
        recipe="fp16",
        model="operators",
        weights="random",
        inputs=inputs,
        outputs=outputs,
        preprocessing=Preprocessing(),
        sha256="",
        golden_sha256="",
    )
    return made, golden


def on_the_core(file: OperatorFile) -> dict[str, Array]:
    """What the emulated Cortex-A76 computes."""
    from mocovit_deploy.targets import RunConditions, load_target

    with tempfile.TemporaryDirectory() as folder:
        made, golden = artifact(file, Path(folder))
        run = load_target("emulated").run_golden(made, golden, RunConditions(deadline_s=250.0))
    return {name: array[0] for name, array in run.outputs.items()}


def digest(array: Array) -> str:
    """Of the float32 values; every NaN is one, and so is every zero."""
    plain = np.where(np.isnan(array), np.float32(np.nan), array + np.float32(0)).astype("<f4")
    return hashlib.sha256(plain.tobytes()).hexdigest()[:16]


if __name__ == "__main__":
    found = {
        name: digest(array)
        for file in (functions(), *operators())
        for name, array in on_the_core(file).items()
    }
    json.dump(dict(sorted(found.items())), sys.stdout, indent=1)
    sys.stdout.write("\n")
