"""The golden file: inputs, and the original network's outputs for them.

mocovit_1_0_224_fp32.tflite.golden.npz

names              the name of each sample
input/image        (samples, N, H, W, C), in the file's own layout
output/logits      (samples, N, classes), as the original network computes them
rounding/logits    its float64 outputs minus these; absent in older files, and without float64 outputs
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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

    The first axis of every array is the samples: `inputs["image"]` is (samples, N, H, W, C) for an NHWC file,
    `outputs["logits"]` is (samples, N, classes). `names` holds the name of each sample.
    """

    names: tuple[str, ...]
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    rounding: Mapping[str, Array] = field(default_factory=dict)
    """By output: the original's float64 output minus `outputs`, which is torch's own rounding error.

    The difference is stored in float32, and the sum is exact to 1e-14. An output that is absent here has no
    float64 counterpart.
    """

    def __len__(self) -> int:
        return len(self.names)

    def some(self, chosen: Sequence[int]) -> Golden:
        """The samples with these numbers."""
        sides = (self.inputs, self.outputs, self.rounding)
        picked = ({name: array[list(chosen)] for name, array in side.items()} for side in sides)
        return Golden(tuple(self.names[number] for number in chosen), *picked)

    @property
    def first(self) -> Golden:
        """Only the first sample."""
        return self.some(range(min(1, len(self))))

    def exact(self, name: str) -> Array:
        """The original's output `name` in float64 if that is known, else as it was computed in float32."""
        if name not in self.rounding:
            return self.outputs[name]
        return self.outputs[name].astype(np.float64) + self.rounding[name]


def golden_path(artifact_path: Path) -> Path:
    """Where the golden file of an artifact lies."""
    return artifact_path.parent / f"{artifact_path.name}.golden.npz"


def write_golden(artifact_path: Path, golden: Golden) -> None:
    """Write the golden file beside `artifact_path`, whole or not at all. Raises `OSError`."""
    arrays = {f"input/{name}": array for name, array in golden.inputs.items()}
    arrays |= {f"output/{name}": array for name, array in golden.outputs.items()}
    arrays |= {f"rounding/{name}": array for name, array in golden.rounding.items()}
    path = golden_path(artifact_path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp.npz")
    try:
        np.savez(temporary, names=np.array(golden.names), **arrays)  # type: ignore[arg-type]
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_golden(artifact: Artifact) -> Golden:
    """Read the golden file beside an artifact.

    Raises `UsageError` if it is absent, damaged, of another export, or does not fit the manifest.
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
    """`ValueError` unless the arrays are the samples, inputs and outputs that the manifest lists."""
    listed = arrays.pop("names", np.zeros(0))
    if listed.dtype.kind != "U" or listed.ndim != 1:
        raise ValueError("it does not name its samples")
    names = tuple(str(name) for name in listed)
    if not all(name.isprintable() for name in names):
        raise ValueError("a sample's name is not a line of text")
    inputs, outputs = (
        _side(arrays, prefix, specs, len(names))
        for prefix, specs in (("input/", artifact.inputs), ("output/", artifact.outputs))
    )
    rounding = _taken(arrays, "rounding/")
    for name, array in rounding.items():
        if name not in outputs or array.shape != outputs[name].shape or array.dtype.kind != "f":
            raise ValueError(f"rounding of {name[:80]!r} does not belong to an output")
    if arrays:
        raise ValueError(f"it holds {next(iter(arrays))[:80]!r} too")
    return Golden(names, inputs, outputs, rounding)


def _side(
    arrays: dict[str, Array], prefix: str, specs: Sequence[TensorSpec], samples: int
) -> dict[str, Array]:
    found = _taken(arrays, prefix)
    if found.keys() != {spec.name for spec in specs}:
        raise ValueError(f"its {prefix[:-1]}s are not those of the manifest")
    for spec in specs:
        _check_samples(found[spec.name], spec, samples)
    return found


def _taken(arrays: dict[str, Array], prefix: str) -> dict[str, Array]:
    """Remove from `arrays` those whose names begin with `prefix`, and return them by the rest of the name."""
    return {key.removeprefix(prefix): arrays.pop(key) for key in list(arrays) if key.startswith(prefix)}


def _check_samples(array: Array, spec: TensorSpec, samples: int) -> None:
    """`ValueError` unless `array` holds `samples` tensors of numbers in the spec's shape."""
    fixed = zip(array.shape[1:], spec.shape, strict=False)
    fits = array.ndim == len(spec.shape) + 1 and all(want in (BATCH, have) for have, want in fixed)
    if array.dtype.kind == "U" or not fits or len(array) != samples:
        raise ValueError(
            f"{spec.name} is {array.dtype} {list(array.shape)}, the manifest has {samples} samples of "
            f"{list(spec.shape)}"
        )
