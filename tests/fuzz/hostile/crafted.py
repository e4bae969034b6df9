"""Files made to do harm: each with what it tries. They are tried first, in every run.

Code that gets executed makes a file called `CANARY` two folders up, outside the folder of the case.
"""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
import zlib
from collections.abc import Iterator

from hostile.mutate import OUTSIDE
from hostile.seeds import Files

CANARY = "../CANARY"
Crafted = tuple[str, Files]


class Touches:
    def __reduce__(self) -> tuple[object, ...]:
        return open, (CANARY, "w")


def for_manifest(files: Files, name: str) -> Iterator[Crafted]:
    manifest = f"{name}.json"
    document = json.loads(files[manifest])

    def with_fields(**fields: object) -> Files:
        return {**files, manifest: json.dumps({**document, **fields}).encode()}

    tensor = document["inputs"][0]
    for what, changed in {
        "a shape of 10^12 elements": {"shape": [1, 1000000, 1000000]},
        "a negative shape": {"shape": [1, -3, 16, 16]},
        "an unknown layout": {"layout": "hwcn"},
        "an unknown element type": {"dtype": "float99"},
        "an object type": {"dtype": "object"},
        "a name with escapes": {"name": "\x1b]0;owned\x07\nmocovit-parity: pass"},
        "a name of 10^6 letters": {"name": "x" * 1_000_000},
    }.items():
        yield what, with_fields(inputs=[{**tensor, **changed}])
    yield "a format that is a path", with_fields(format="../../evil")
    yield "a recipe with escapes", with_fields(recipe="fp32\x1b[2J")
    yield "a digest that is none", with_fields(golden_sha256=["0"] * 64)
    yield "a path elsewhere", with_fields(path="../../../etc/passwd")
    yield "2,000 tensors", with_fields(inputs=[tensor] * 2_000)
    yield "nested 10^5 deep", {**files, manifest: b"[" * 100_000}
    yield "a key twice", {**files, manifest: files[manifest].replace(b"{", b'{"format": "onnx",', 1)}
    yield "NaN", {**files, manifest: files[manifest].replace(b'"scale": ', b'"scale": NaN, "x": ', 1)}
    yield (
        "2 million empty lists",
        {**files, manifest: b'{"schema_version": 1, "a": [' + b"[]," * 2_100_000 + b"1]}"},
    )
    yield "a number of 10^6 digits", {**files, manifest: b'{"schema_version": ' + b"1" * 1_000_000 + b"}"}


def for_golden(files: Files, name: str) -> Iterator[Crafted]:
    golden = f"{name}.golden.npz"
    with zipfile.ZipFile(io.BytesIO(files[golden])) as archive:
        arrays = {member: archive.read(member) for member in archive.namelist()}

    def with_arrays(changed: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Files:
        return {**files, golden: zipped({**arrays, **changed}, method)}

    image = next(member for member in arrays if member.startswith("input/"))
    yield "10^12 elements", with_arrays({image: npy("<f4", "(1000000, 1000000)", b"")})
    yield "10^12 samples' names", with_arrays({"names.npy": npy("<U1", "(1000000000000,)", b"")})
    yield "objects", with_arrays({image: npy("|O", "(1,)", pickle.dumps(Touches()))})
    yield "objects as names", with_arrays({"names.npy": npy("|O", "(1,)", pickle.dumps(Touches()))})
    yield (
        "a header that is code",
        with_arrays({image: npy_raw(b"__import__('os').system('touch " + CANARY.encode() + b"')")}),
    )
    yield "a header nested deep", with_arrays({image: npy_raw(b"(" * 5000)})
    yield (
        "names that are no characters",
        with_arrays({"names.npy": npy("<U1", "(2,)", b"\xff\xff\xff\x7f" * 2)}),
    )
    yield (
        "names with escapes",
        with_arrays({"names.npy": npy("<U4", "(2,)", "\x1b[2J\x1b[2J".encode("utf-32-le"))}),
    )
    yield "256 MB of zeros in 256 kB", with_arrays({image: b"\0" * (1 << 28)}, zipfile.ZIP_DEFLATED)
    yield (
        "members outside",
        with_arrays({"../../outside.npy": arrays[image], OUTSIDE: arrays[image]}),
    )
    yield "20,000 members", {**files, golden: zipped({f"input/{n}.npy": b"" for n in range(20_000)})}
    yield "one member's bytes 1000 times", {**files, golden: _overlapping(arrays[image], 1000)}


def for_json() -> Iterator[Crafted]:
    """Reports."""
    yield "nested 10^5 deep", {"seed.json": b'{"schema_version": 2, "reports": ' + b"[" * 100_000}
    yield (
        "2 million empty lists",
        {"seed.json": b'{"schema_version": 2, "reports": [' + b"[]," * 2_100_000 + b"1]}"},
    )
    yield "10^6 digits", {"seed.json": b'{"schema_version": ' + b"9" * 1_000_000 + b"}"}
    yield "a version with escapes", {"seed.json": b'{"schema_version": "\\u001b[2J\\n"}'}


def for_toml() -> Iterator[Crafted]:
    yield "nested 10^5 deep", {"seed.toml": b"a = " + b"[" * 100_000}
    yield "inline tables 10^4 deep", {"seed.toml": b"a = " + b"{a = " * 10_000}
    yield "a key of 10^4 parts", {"seed.toml": b".".join([b"a"] * 10_000) + b" = 1"}
    yield (
        "10^4 keys of growing length",
        {"seed.toml": b"\n".join(b".".join([b"k%d" % n] * 40) + b" = 1" for n in range(10_000))},
    )
    yield "a number of 10^6 digits", {"seed.toml": b"a = " + b"9" * 1_000_000}
    yield "a number of 10^6 digits, underscored", {"seed.toml": b"a = " + b"9_" * 500_000 + b"9"}
    yield "a hexadecimal number of 10^6 digits", {"seed.toml": b"a = 0x" + b"f" * 1_000_000}


def for_package(files: Files) -> Iterator[Crafted]:
    """A .mlpackage whose manifest leads out of it. Links are tested apart: a case holds plain files."""
    manifest = "tiny.mlpackage/Manifest.json"
    text = files[manifest].decode()
    model = "tiny.mlpackage/Data/com.apple.CoreML/model.mlmodel"
    outside = text.replace("com.apple.CoreML/model.mlmodel", "../../outside.mlmodel")
    assert outside != text
    yield "a model outside", {**files, manifest: outside.encode(), "outside.mlmodel": files[model]}
    yield "nested 10^5 deep", {**files, manifest: b"[" * 100_000}
    yield "an entry twice", {**files, manifest: text.replace("{", '{"itemInfoEntries": {},', 1).encode()}
    weights = "tiny.mlpackage/Data/com.apple.CoreML/weights/weight.bin"
    yield "no weights", {name: data for name, data in files.items() if name != weights}
    reference = b"@model_path/weights/weight.bin"
    elsewhere = b"@model_path/../../../../etc/pa"
    assert reference in files[model]
    yield "weights outside", {**files, model: files[model].replace(reference, elsewhere)}
    yield "10,001 files", {**files, **{f"tiny.mlpackage/{n}": b"" for n in range(10_001)}}


def for_onnx(files: Files, name: str) -> Iterator[Crafted]:
    import onnx

    for location in ("../../../../etc/passwd", "/dev/zero", "/etc/passwd", "weights.bin"):
        model = onnx.load_from_string(files[name])
        for tensor in model.graph.initializer:
            if len(tensor.raw_data) > 64:
                del tensor.external_data[:]
                for key, value in (
                    ("location", location),
                    ("offset", "0"),
                    ("length", str(len(tensor.raw_data))),
                ):
                    tensor.external_data.add(key=key, value=value)
                tensor.ClearField("raw_data")
                tensor.data_location = onnx.TensorProto.EXTERNAL
        yield f"weights in {location}", {**files, name: model.SerializeToString()}
    model = onnx.load_from_string(files[name])
    shape = onnx.numpy_helper.from_array(__import__("numpy").array([1 << 20, 1 << 20], dtype="int64"), "huge")
    model.graph.initializer.append(shape)
    model.graph.node.insert(0, onnx.helper.make_node("ConstantOfShape", ["huge"], ["huge_out"]))
    yield "10^12 elements made while it runs", {**files, name: model.SerializeToString()}
    model = onnx.load_from_string(files[name])
    value, flag, count = (
        onnx.helper.make_tensor_value_info(n, kind, []) for n, kind in (("v", 1), ("c", 9), ("i", 7))
    )
    copies = [onnx.helper.make_node("Identity", [a], [b]) for a, b in (("c", "c2"), ("v", "v2"))]
    given = [onnx.helper.make_tensor_value_info(n, kind, []) for n, kind in (("c2", 9), ("v2", 1))]
    body = onnx.helper.make_graph(copies, "body", [count, flag, value], given)
    model.graph.initializer.append(onnx.helper.make_tensor("true", 9, [], [1]))
    model.graph.initializer.append(onnx.helper.make_tensor("zero", 1, [], [0.0]))
    model.graph.node.insert(0, onnx.helper.make_node("Loop", ["", "true", "zero"], ["never"], body=body))
    model.graph.output.append(onnx.helper.make_tensor_value_info("never", 1, []))
    yield "a loop without end", {**files, name: model.SerializeToString()}


def npy(descr: str, shape: str, data: bytes) -> bytes:
    return npy_raw(f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()) + data


def npy_raw(header: bytes) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header + b"\n"


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=method)
    return stream.getvalue()


def _overlapping(content: bytes, times: int) -> bytes:
    """A directory whose entries all point at the same stored bytes."""
    crc, name = zlib.crc32(content), b"input/image.npy"
    local = (
        struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 0, 0, 0, crc, len(content), len(content), len(name), 0)
        + name
    )
    entries = b""
    for number in range(times):
        one = b"input/%05d.npy" % number
        entries += (
            struct.pack(
                "<4s6H3I5H2I",
                b"PK\1\2",
                20,
                20,
                0,
                0,
                0,
                0,
                crc,
                len(content),
                len(content),
                len(one),
                0,
                0,
                0,
                0,
                0,
                0,
            )
            + one
        )
    start = len(local) + len(content)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, times, times, len(entries), start, 0)
    return local + content + entries + end
