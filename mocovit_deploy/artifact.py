"""What an exporter leaves on disk, and how to read it back: the file, its manifest, its golden file.

    mocovit_1_0_224_fp32.tflite               the artifact (for Core ML a folder, .mlpackage)
    mocovit_1_0_224_fp32.tflite.json          the manifest: what it is, what made it, how it was checked
    mocovit_1_0_224_fp32.tflite.golden.npz    inputs, and the outputs of the *original* network for them

These three files are the whole interface between exporting and everything after it: parity checks and
benchmarks read them, on machines without torch. Numpy only.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mocovit_deploy.archives import Damaged
from mocovit_deploy.arrays import read_arrays
from mocovit_deploy.bounded import check_folder, read_json, size_of
from mocovit_deploy.errors import UsageError
from mocovit_deploy.manifest import check
from mocovit_deploy.printable import printable
from mocovit_deploy.spec import BATCH, Preprocessing, TensorSpec

SCHEMA_VERSION = 1

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Artifact:
    """A written file and everything needed to run and judge it."""

    path: Path
    format: str
    recipe: str
    model: str
    weights: str
    """Where the weights came from, in words: "random, seed 0" or the checkpoint's name and digest."""
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    preprocessing: Preprocessing
    sha256: str
    golden_sha256: str
    tools: Mapping[str, str] = field(default_factory=dict)
    passes: tuple[Mapping[str, Any], ...] = ()
    parity: Mapping[str, Any] | None = None
    source: Mapping[str, Any] | None = None
    """What it was made from, as `mocovit_deploy.source` writes and reads it; None in older manifests."""

    @property
    def dynamic_batch(self) -> bool:
        return any(BATCH in tensor.shape for tensor in self.inputs)


@dataclass(frozen=True)
class Golden:
    """Inputs in the file's own layout, and the original network's outputs, sample by sample.

    Every array has one more axis in front, the samples: `inputs["image"]` is (samples, N, H, W, C) for an
    NHWC file, `outputs["logits"]` is (samples, N, classes). `names` says what each sample is.
    """

    names: tuple[str, ...]
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def first(self) -> Golden:
        """The first sample alone."""
        sides = ({name: array[:1] for name, array in side.items()} for side in (self.inputs, self.outputs))
        return Golden(self.names[:1], *sides)


def manifest_path(artifact_path: Path) -> Path:
    return artifact_path.with_name(artifact_path.name + ".json")


def golden_path(artifact_path: Path) -> Path:
    return artifact_path.with_name(artifact_path.name + ".golden.npz")


def to_layout(array: Array, spec: TensorSpec) -> Array:
    """An image array (..., C, H, W) as the file wants it; anything else as it is."""
    return np.ascontiguousarray(np.moveaxis(array, -3, -1)) if spec.layout == "nhwc" else array


def from_layout(array: Array, spec: TensorSpec) -> Array:
    """An image array of the file as (..., C, H, W); anything else as it is. The way back of `to_layout`."""
    return np.ascontiguousarray(np.moveaxis(array, -1, -3)) if spec.layout == "nhwc" else array


def digest(path: Path) -> str:
    """SHA-256 of a file, or of a folder: of its files' relative names and digests, in sorted order."""
    total = hashlib.sha256()
    if path.is_dir():
        for member in sorted(p for p in path.rglob("*") if p.is_file()):
            total.update(f"{member.relative_to(path).as_posix()}\0{digest(member)}\n".encode())
        return total.hexdigest()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            total.update(chunk)
    return total.hexdigest()


def size_bytes(path: Path) -> int:
    """Of a file, or of all files in a folder."""
    members = [member for member in path.rglob("*") if member.is_file()] if path.is_dir() else [path]
    return sum(member.stat().st_size for member in members)


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` under a temporary name in the same folder, then rename: readers see old or new, whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_manifest(artifact: Artifact) -> None:
    fields = dataclasses.asdict(artifact)
    fields["path"] = artifact.path.name
    document = {"schema_version": SCHEMA_VERSION, **fields}
    text = json.dumps(document, indent=2, default=dict, allow_nan=False) + "\n"
    write_atomically(manifest_path(artifact.path), text.encode())


def read_manifest(artifact_path: Path) -> Artifact:
    """Read the manifest beside `artifact_path`.

    Raises `UsageError` when the file or its manifest is absent, or the manifest is not one of ours.
    """
    path = manifest_path(artifact_path)
    if not artifact_path.exists():
        raise UsageError(f"{artifact_path}: no such file")
    try:
        document = read_json(path)
        check_folder(artifact_path) if artifact_path.is_dir() else size_of(artifact_path)
    except FileNotFoundError:
        raise UsageError(f"{path}: no manifest beside the file; mocovit-export writes one") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise UsageError(
            f"{path}: not the manifest of a file that can be read ({printable(error)})"
        ) from None
    version = document.get("schema_version") if isinstance(document, dict) else None
    if version != SCHEMA_VERSION:
        raise UsageError(f"{path}: manifest schema {version!r:.40}, this version reads {SCHEMA_VERSION}")
    try:
        check(document)
        return _artifact_from(document, artifact_path)
    except (KeyError, TypeError) as error:
        raise UsageError(f"{path}: not a manifest ({error!r:.200}); export again") from None
    except ValueError as error:
        raise UsageError(f"{path}: not a manifest ({printable(error)}); export again") from None


def _artifact_from(document: dict[str, Any], path: Path) -> Artifact:
    fields = {key: value for key, value in document.items() if key != "schema_version"}
    tensors = {
        side: tuple(TensorSpec(**{**tensor, "shape": tuple(tensor["shape"])}) for tensor in fields[side])
        for side in ("inputs", "outputs")
    }
    pixels = fields["preprocessing"]
    preprocessing = Preprocessing(
        scale=float(pixels["scale"]),
        mean=tuple(map(float, pixels["mean"])),
        std=tuple(map(float, pixels["std"])),
        colour_order=str(pixels["colour_order"]),
    )
    plain = {**fields, **tensors, "passes": tuple(fields["passes"])}
    return Artifact(**{**plain, "path": path, "preprocessing": preprocessing})


def write_golden(artifact_path: Path, golden: Golden) -> None:
    arrays = {f"input/{name}": array for name, array in golden.inputs.items()}
    arrays |= {f"output/{name}": array for name, array in golden.outputs.items()}
    path = golden_path(artifact_path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp.npz")
    try:
        np.savez(temporary, names=np.array(golden.names), **arrays)  # type: ignore[arg-type]
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_golden(artifact: Artifact) -> Golden:
    """Read the golden file beside an artifact.

    Raises `UsageError` when it is absent, damaged, another export's, or not what the manifest promises.
    """
    path = golden_path(artifact.path)
    if not path.exists():
        raise UsageError(f"{path}: no golden file beside the artifact; export again")
    try:
        size_of(path)
        if digest(path) != artifact.golden_sha256:
            raise UsageError(f"{path}: not the golden file of this export (its digest differs); export again")
        return _golden_from(read_arrays(path), artifact)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    except (Damaged, ValueError) as error:
        raise UsageError(f"{path}: not a golden file ({printable(error)}); export again") from None


def _golden_from(arrays: dict[str, Array], artifact: Artifact) -> Golden:
    """`ValueError` unless the arrays are the samples, inputs and outputs that the manifest promises."""
    listed = arrays.pop("names", np.zeros(0))
    if listed.dtype.kind != "U" or listed.ndim != 1:
        raise ValueError("it does not name its samples")
    names = tuple(str(name) for name in listed)
    if not all(name.isprintable() for name in names):
        raise ValueError("a sample's name is not a line of text")
    sides = []
    for prefix, specs in (("input/", artifact.inputs), ("output/", artifact.outputs)):
        found = {key.removeprefix(prefix): arrays.pop(key) for key in list(arrays) if key.startswith(prefix)}
        if found.keys() != {spec.name for spec in specs}:
            raise ValueError(f"its {prefix[:-1]}s are not those of the manifest")
        for spec in specs:
            _check_samples(found[spec.name], spec, len(names))
        sides.append(found)
    if arrays:
        raise ValueError(f"it holds {next(iter(arrays))[:80]!r} too")
    return Golden(names, *sides)


def _check_samples(array: Array, spec: TensorSpec, samples: int) -> None:
    """`ValueError` unless `array` is `samples` numbers-only tensors of the spec's shape."""
    fixed = zip(array.shape[1:], spec.shape, strict=False)
    fits = array.ndim == len(spec.shape) + 1 and all(want in (BATCH, have) for have, want in fixed)
    if array.dtype.kind == "U" or not fits or len(array) != samples:
        raise ValueError(
            f"{spec.name} is {array.dtype} {list(array.shape)}, the manifest has {samples} samples of "
            f"{list(spec.shape)}"
        )
