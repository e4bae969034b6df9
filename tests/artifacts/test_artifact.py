import dataclasses
import json

import numpy as np
import pytest

from mocovit_deploy.artifacts.artifact import Artifact, to_layout
from mocovit_deploy.artifacts.golden import Golden, golden_path, read_golden, write_golden
from mocovit_deploy.artifacts.manifest import manifest_path, read_manifest, write_manifest
from mocovit_deploy.errors import UsageError
from mocovit_deploy.files import digest, write_atomically
from mocovit_deploy.spec import BATCH, Preprocessing, TensorSpec


@pytest.fixture
def artifact(tmp_path):
    path = tmp_path / "net_8_fp32.onnx"
    path.write_bytes(b"a file")
    golden = Golden(
        ("one",), {"image": np.ones((1, 1, 3, 8, 8), np.float32)}, {"logits": np.zeros((1, 1, 4))}
    )
    write_golden(path, golden)
    spec = TensorSpec("image", (BATCH, 3, 8, 8), "float32", "nchw")
    made = Artifact(
        path,
        "onnx",
        "fp32",
        "net",
        "random, seed 0",
        (spec,),
        (TensorSpec("logits", (1, 4), "float32"),),
        Preprocessing(mean=(0.5, 0.5, 0.5)),
        digest(path),
        digest(golden_path(path)),
        {"torch": "2"},
        ({"name": "fold_batchnorm", "changes": 3},),
        {"verdict": "pass"},
    )
    write_manifest(made)
    return made


def test_a_manifest_comes_back_equal(artifact):
    assert read_manifest(artifact.path) == artifact
    assert artifact.dynamic_batch


def test_a_golden_file_comes_back_equal(artifact):
    golden = read_golden(artifact)
    assert golden.names == ("one",)
    assert golden.inputs["image"].shape == (1, 1, 3, 8, 8)
    assert len(golden) == 1


def _with_golden(artifact, **arrays):
    """The artifact with these arrays, and those it had, as its golden file."""
    path = golden_path(artifact.path)
    with np.load(path) as stored:
        np.savez(path, **{**stored, **arrays})
    return dataclasses.replace(artifact, golden_sha256=digest(path))


def test_float64_outputs_come_back_exactly(artifact):
    exact = np.random.default_rng(0).normal(size=(1, 1, 4))
    single = exact.astype(np.float32)
    golden = read_golden(artifact)
    golden = dataclasses.replace(
        golden, outputs={"logits": single}, rounding={"logits": (exact - single).astype(np.float32)}
    )
    write_golden(artifact.path, golden)
    found = read_golden(dataclasses.replace(artifact, golden_sha256=digest(golden_path(artifact.path))))
    assert np.abs(found.exact("logits") - exact).max() < 1e-14
    assert np.array_equal(found.first.exact("logits"), found.exact("logits"))
    assert np.array_equal(found.outputs["logits"], single)


def test_a_golden_file_without_float64_reads_as_before(artifact):
    golden = read_golden(artifact)
    assert golden.rounding == {}
    assert golden.exact("logits") is golden.outputs["logits"]


@pytest.mark.parametrize(
    ("name", "rounding"),
    [("other", np.zeros((1, 1, 4))), ("logits", np.zeros((1, 1, 5))), ("logits", np.zeros((1, 1, 4), int))],
)
def test_rounding_of_something_else_is_refused(artifact, name, rounding):
    changed = _with_golden(artifact, **{f"rounding/{name}": rounding})
    with pytest.raises(UsageError, match="does not belong to an output"):
        read_golden(changed)


def test_no_temporary_files_stay(artifact):
    names = {path.name for path in artifact.path.parent.iterdir()}
    assert names == {artifact.path.name, manifest_path(artifact.path).name, golden_path(artifact.path).name}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "3",
        '{"schema_version": 1}',
        '{"schema_version": 99}',
        "[" * 100_000,
        '{"schema_version": 1, "inputs": 3, "outputs": [], "preprocessing": {}}',
    ],
)
def test_damaged_manifests(artifact, text):
    manifest_path(artifact.path).write_text(text)
    with pytest.raises(UsageError, match="manifest"):
        read_manifest(artifact.path)


def test_an_unknown_field_is_no_manifest_of_ours(artifact):
    document = json.loads(manifest_path(artifact.path).read_text())
    manifest_path(artifact.path).write_text(json.dumps({**document, "surprise": 1}))
    with pytest.raises(UsageError, match="surprise"):
        read_manifest(artifact.path)


def test_missing_files(artifact, tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        read_manifest(tmp_path / "none.onnx")
    golden_path(artifact.path).unlink()
    with pytest.raises(UsageError, match="no golden file"):
        read_golden(artifact)
    manifest_path(artifact.path).unlink()
    with pytest.raises(UsageError, match="no manifest"):
        read_manifest(artifact.path)


def test_another_exports_golden_file_is_refused(artifact):
    write_golden(artifact.path, Golden(("other",), {}, {}))
    with pytest.raises(UsageError, match="its digest differs"):
        read_golden(artifact)


def test_a_golden_file_with_pickles_is_refused(artifact):
    np.savez(golden_path(artifact.path), names=np.array([{"a": 1}], dtype=object))
    changed = dataclasses.replace(artifact, golden_sha256=digest(golden_path(artifact.path)))
    with pytest.raises(UsageError, match="not a golden file"):
        read_golden(changed)


def test_the_digest_of_a_folder_covers_names_and_contents(tmp_path):
    folder = tmp_path / "a.mlpackage"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "x").write_text("1")
    first = digest(folder)
    (folder / "sub" / "x").write_text("2")
    second = digest(folder)
    (folder / "sub" / "x").rename(folder / "sub" / "y")
    assert len({first, second, digest(folder)}) == 3


def test_write_atomically_leaves_the_old_file_when_it_fails(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_text("old")
    monkeypatch.setattr("os.fsync", lambda _fd: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_to_layout():
    array = np.arange(24).reshape(1, 1, 2, 3, 4)
    nhwc = TensorSpec("x", (1, 3, 4, 2), "float32", "nhwc")
    assert to_layout(array, nhwc).shape == (1, 1, 3, 4, 2)
    assert to_layout(array, nhwc)[0, 0, 1, 2, 1] == array[0, 0, 1, 1, 2]
    assert to_layout(array, dataclasses.replace(nhwc, layout="nchw")) is array
