"""The golden file: inputs, and the original network's outputs for them.

mocovit_1_0_224_fp32.tflite.golden.npz
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mocovit_deploy.artifacts.artifact import Array, Artifact
from mocovit_deploy.errors import UsageError
from mocovit_deploy.files import digest
from mocovit_deploy.spec import BATCH, TensorSpec
from mocovit_deploy.terminal.printable import printable
from mocovit_deploy.untrusted.npz import read_arrays
from mocovit_deploy.untrusted.read import size_of
from mocovit_deploy.untrusted.zip import Damaged


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


def golden_path(artifact_path: Path) -> Path:
    return artifact_path.with_name(artifact_path.name + ".golden.npz")


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
