"""Checkpoints and programs made to do harm (see crafted.py)."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Iterator

from hostile.crafted import CANARY, Crafted, Touches, zipped
from hostile.seeds import Files


def for_pickles() -> Iterator[Crafted]:
    """Checkpoints, in torch's archive and in its old format."""
    bombs = {
        "code": pickle.dumps({"a": Touches()}, protocol=2),
        "a key that is hashed for ever": _hash_bomb(),
        "10^11 bytes of bytearray": b"\x80\x02cbuiltins\nbytearray\n\x8a\x06"
        + (10**11).to_bytes(6, "little")
        + b"\x85R.",
        "a list within itself": b"\x80\x02]q\x00h\x00a.",
        "10^6 marks": b"\x80\x02" + b"(" * 1_000_000 + b".",
        "a memo of 4 GB": b"\x80\x02Nr\xff\xff\xff\xff.",
        "a string of 2 GB": b"\x80\x02X\xff\xff\xff\x7fabc.",
    }
    for what, content in bombs.items():
        yield f"{what}, archive", {"seed.pt": torch_archive(content)}
        yield f"{what}, bare", {"seed.pt": content}
    yield (
        "an archive that inflates",
        {
            "seed.pt": zipped(
                {"seed/data.pkl": b"\x80\x02}.", "seed/data/0": b"\0" * (1 << 28)}, zipfile.ZIP_DEFLATED
            )
        },
    )
    yield "members outside", {"seed.pt": zipped({"../../outside": b"x", "seed/data.pkl": b"\x80\x02}."})}
    yield "an expanded tensor of 10^12 elements", {"seed.pt": _expanded()}


def for_safetensors() -> Iterator[Crafted]:
    for what, header in {
        "10^12 elements": b'{"a":{"dtype":"F32","shape":[1000000,1000000],"data_offsets":[0,4]}}',
        "an overflowing shape": b'{"a":{"dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4]}}',
        "a name with escapes": b'{"\\u001b[2J\\n":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        "nested deep": b'{"a":' + b"[" * 90_000 + b"]" * 90_000 + b"}",
        "a name twice": b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
        b'"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        "an empty tensor of 2^63": b'{"a":{"dtype":"F32","shape":[0,9223372036854775807],'
        b'"data_offsets":[0,0]}}',
    }.items():
        yield what, {"seed.safetensors": struct.pack("<Q", len(header)) + header + b"\0\0\0\0"}
    yield "a header of 2^63 bytes", {"seed.safetensors": struct.pack("<Q", 1 << 63) + b"{}"}


def for_program(files: Files) -> Iterator[Crafted]:
    """What torch.export.load would execute."""
    (name,) = files
    with zipfile.ZipFile(io.BytesIO(files[name])) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    root = next(iter(members)).partition("/")[0]
    document = f"{root}/models/model.json"
    text = members[document].decode()

    def written(changed: dict[str, bytes]) -> Files:
        return {name: zipped({**members, **changed})}

    def replaced(old: str, new: str) -> Files:
        assert old in text, old
        return written({document: text.replace(old, new).encode()})

    shell = f"touch {CANARY}"
    yield (
        "an operator that is os.system",
        written(
            {
                document: text.replace('"torch.ops.aten.relu.default"', '"torch.os.system"')
                .replace('"as_tensor": {"name": "batch_norm"}', f'"as_string": "{shell}"')
                .encode()
            }
        ),
    )
    yield (
        "an operator that loads a library",
        replaced("torch.ops.aten.relu.default", "torch.ops.load_library"),
    )
    yield (
        "an operator that maps a file",
        replaced("torch.ops.aten.relu.default", "torch.ops.aten.from_file.default"),
    )
    if "expr_str" in text:
        at = text.index('"expr_str": "') + len('"expr_str": "')
        end = text.index('"', at)
        code = f"__import__('os').system('{shell}')"
        yield "an expression that is code", written({document: (text[:at] + code + text[end:]).encode()})
        yield "a power tower", written({document: (text[:at] + "9**9**9**9" + text[end:]).encode()})
    constants = json.loads(members[f"{root}/data/constants/model_constants_config.json"])
    constants["config"]["x"] = {
        "path_name": "opaque_obj_0",
        "is_param": False,
        "use_pickle": True,
        "tensor_meta": None,
    }
    yield (
        "an opaque constant",
        written(
            {
                f"{root}/data/constants/model_constants_config.json": json.dumps(constants).encode(),
                f"{root}/data/constants/opaque_obj_0": pickle.dumps(Touches()),
            }
        ),
    )
    weights = json.loads(members[f"{root}/data/weights/model_weights_config.json"])
    for entry in weights["config"].values():
        entry["use_pickle"] = True
    yield (
        "pickled weights",
        written(
            {
                f"{root}/data/weights/model_weights_config.json": json.dumps(weights).encode(),
                f"{root}/data/weights/weight_0": torch_archive(pickle.dumps(Touches(), protocol=2)),
            }
        ),
    )
    yield (
        "a compiled library",
        written(
            {
                f"{root}/data/aotinductor/model/x.so": b"\x7fELF",
            }
        ),
    )
    yield (
        "sample inputs that are code",
        written({f"{root}/data/sample_inputs/model.pt": torch_archive(pickle.dumps(Touches(), protocol=2))}),
    )
    yield "members outside", written({"../../outside": b"x"})
    factory = json.dumps(
        {"default_factory_module": "antigravity", "default_factory_name": "fly", "dict_context": []}
    )
    yield (
        "an import in a tree",
        replaced(
            _escaped('"type": "builtins.dict", "context": "[]"'),
            _escaped(f'"type": "collections.defaultdict", "context": {json.dumps(factory)}'),
        ),
    )


def _escaped(text: str) -> str:
    """As it stands within a string of a JSON document."""
    return json.dumps(text)[1:-1]


def torch_archive(pickled: bytes) -> bytes:
    return zipped({"seed/data.pkl": pickled, "seed/byteorder": b"little", "seed/version": b"3\n"})


def _hash_bomb() -> bytes:
    """`{t: 1}` with t = (s, s), s = (r, r), ... sixty times: its hash takes 2^60 steps."""
    nested = b"".join(b"q" + bytes([n]) + b"h" + bytes([n]) + b"\x86" for n in range(60))
    return b"\x80\x02}K\x01\x85" + nested + b"K\x01s."


def _expanded() -> bytes:
    import torch

    stream = io.BytesIO()
    torch.save({"0.weight": torch.zeros(1).expand(1_000_000, 1_000_000)}, stream)
    return stream.getvalue()
