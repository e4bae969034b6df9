"""JSON, zip archives, arrays and folders of strangers."""

from __future__ import annotations

import io
import json
import os
import zipfile

import numpy as np
import pytest
from hostile import crafted, seeds

from mocovit_deploy.artifacts.golden import read_golden
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.errors import UsageError
from mocovit_deploy.terminal.printable import printable
from mocovit_deploy.untrusted.npz import read_arrays
from mocovit_deploy.untrusted.read import check_folder, parse_json, read_bytes, size_of
from mocovit_deploy.untrusted.zip import Damaged, open_stored_zip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"a": 1, "a": 2}', "'a' is there twice"),
        (b"[NaN]", "NaN is not a number"),
        (b"[-Infinity]", "-Infinity is not a number"),
        (b"[1e999]", "larger than any number"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[" + b"[]," * 2_100_000 + b"1]", "values, at most"),
        (b"1" * 5000, "5000 digits"),
        (b"\xff", "utf-8"),
        (rb'["\uD800"]', "half a character"),
        (rb'{"\udc00": 1}', "half a character"),
        (b"", "Expecting value"),
    ],
)
def test_json_that_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        parse_json(text)


def test_json_that_is_read():
    document = {"a": [1, -2.5e-300, None, True, "ü", "\U0001f600"], "b": {"a": 10**300}}
    assert parse_json(json.dumps(document).encode()) == document


def test_sizes_are_looked_at_before_bytes(tmp_path):
    path = tmp_path / "a"
    path.touch()
    os.truncate(path, 1 << 40)  # takes no room: it is all hole
    with pytest.raises(ValueError, match="1,099,511,627,776 bytes"):
        read_bytes(path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="not a regular file"):
        size_of(tmp_path / "pipe")


def test_a_folder_with_links_or_pipes_is_no_package(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_text("x")
    check_folder(tmp_path)
    link = tmp_path / "a" / "passwords"
    link.symlink_to("/etc/passwd")
    with pytest.raises(ValueError, match="'passwords' in it is a link"):
        check_folder(tmp_path)
    link.unlink()
    os.mkfifo(tmp_path / "a" / "pipe")
    with pytest.raises(ValueError, match="not a regular file"):
        check_folder(tmp_path)


@pytest.mark.parametrize(
    ("members", "method", "said"),
    [
        ({"a": b"x" * 100}, zipfile.ZIP_DEFLATED, "compressed"),
        ({"../a": b""}, zipfile.ZIP_STORED, "'../a'"),
        ({"/a": b""}, zipfile.ZIP_STORED, "'/a'"),
        ({"a\x1b[2J": b""}, zipfile.ZIP_STORED, r"\\x1b"),
        ({"a/b": b"", "A/B": b""}, zipfile.ZIP_STORED, "two members"),
    ],
)
def test_archives_that_are_refused(members, method, said, tmp_path):
    (tmp_path / "a.zip").write_bytes(crafted.zipped(members, method))
    with pytest.raises(Damaged, match=said), open_stored_zip(tmp_path / "a.zip"):
        pass


def test_an_archive_that_is_cut_off_or_lies(tmp_path):
    whole = crafted.zipped({"a": b"12345", "b": b""})
    path = tmp_path / "a.zip"
    for data in (b"", b"PK", whole[:-1], whole[:-23] + b"\xff" * 23, whole + b"x"):
        path.write_bytes(data)
        with pytest.raises(Damaged), open_stored_zip(path) as archive:
            archive.read("a")
    path.write_bytes(whole)
    with open_stored_zip(path) as archive:
        assert archive.read("a") == b"12345"


def test_a_directory_of_gigabytes_is_not_read(tmp_path):
    end = bytearray(crafted.zipped({}))
    end[12:16] = (1 << 30).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(end)
    with (
        pytest.raises(Damaged, match="list of members has 1,073,741,824 bytes"),
        open_stored_zip(tmp_path / "a.zip"),
    ):
        pass


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3)),
        np.array(["ä", "noise 1"]),
        np.float16([[1.5]]),
        np.array(3, dtype=np.uint8),
        np.zeros((0, 3), dtype=np.bool_),
        np.arange(3, dtype=">f8"),
    ],
)
def test_arrays_come_back_as_numpy_wrote_them(array, tmp_path):
    np.savez(tmp_path / "a.npz", **{"input/x": array})
    found = read_arrays(tmp_path / "a.npz")["input/x"]
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype.newbyteorder("=")


def test_numpys_own_compressed_files_are_refused(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(1000))
    with pytest.raises(Damaged, match="compressed"):
        read_arrays(tmp_path / "a.npz")


READ_ALL_THE_SAME = ("a format that is a path", "a path elsewhere")
"""No format is looked up before `format_named`, which knows its names; a path is not looked at."""

CRAFTED = [
    *crafted.for_manifest(seeds.model("tiny.onnx"), "tiny.onnx"),
    *crafted.for_golden(seeds.model("tiny.onnx"), "tiny.onnx"),
]
CRAFTED = [(what, files) for what, files in CRAFTED if what not in READ_ALL_THE_SAME]


@pytest.mark.parametrize(("what", "files"), CRAFTED, ids=[what for what, _ in CRAFTED])
def test_crafted_manifests_and_golden_files(what, files, tmp_path, monkeypatch):
    from hostile.readers import named

    (tmp_path / "case").mkdir()
    monkeypatch.chdir(tmp_path / "case")
    files = dict(files)
    if files["tiny.onnx.golden.npz"] != seeds.model("tiny.onnx")["tiny.onnx.golden.npz"]:
        named("golden").repair(files)
    for name, data in files.items():
        (tmp_path / "case" / name).write_bytes(data)
    with pytest.raises(UsageError) as caught:
        read_golden(read_manifest(tmp_path / "case" / "tiny.onnx"))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500 + len(str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["case"]


def test_golden_files_must_be_what_the_manifest_promises(tmp_path):
    from hostile.readers import named

    files = seeds.model("tiny.onnx")
    with np.load(io.BytesIO(files["tiny.onnx.golden.npz"])) as archive:
        arrays = dict(archive)
    wrong = {
        "no names": {k: v for k, v in arrays.items() if k != "names"},
        "other names": {**arrays, "names": np.arange(2)},
        "an input less": {k: v for k, v in arrays.items() if not k.startswith("input")},
        "an output more": {**arrays, "output/more": arrays["output/logits"]},
        "something else": {**arrays, "more": arrays["names"]},
        "a sample less": {**arrays, "input/image": arrays["input/image"][:1]},
        "another shape": {**arrays, "input/image": arrays["input/image"][..., :5]},
        "text": {**arrays, "output/logits": np.full(arrays["output/logits"].shape, "x")},
    }
    for what, changed in wrong.items():
        stream = io.BytesIO()
        np.savez(stream, **changed)
        case = {**files, "tiny.onnx.golden.npz": stream.getvalue()}
        named("golden").repair(case)
        for name, data in case.items():
            (tmp_path / name).write_bytes(data)
        with pytest.raises(UsageError, match="not a golden file"):
            pytest.fail(f"{what}: {read_golden(read_manifest(tmp_path / 'tiny.onnx'))}")


def test_what_does_not_print_is_spelled_out():
    assert printable("a\x1b[2J\u202e\nb ü×") == r"a\x1b[2J\u202e\nb ü×"
    assert printable("a\nb", keep="\n") == "a\nb"
    assert printable("\udc80") == r"\udc80"
