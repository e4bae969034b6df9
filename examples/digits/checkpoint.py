"""A trained network on disk: its weights, and a record of what they are and how good.

    mocovit_0_5_96.safetensors         matrices and kernels in fp16, vectors in fp32: half the size
    mocovit_0_5_96.safetensors.json    the record

The stored numbers *are* the network: every loader widens them to float32, which is exact, and accuracy is
measured on the rounded numbers. So rounding to fp16 is part of training, never an error of an export.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mocovit_deploy.artifacts.manifest import manifest_path
from mocovit_deploy.errors import UsageError
from mocovit_deploy.extras import needs_extra
from mocovit_deploy.files import digest, write_atomically
from mocovit_deploy.spec import InputSpec, ModelSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a checkpoint holds and how it was trained."""

    model: str
    arguments: tuple[tuple[str, str], ...]
    num_classes: int
    image_size: int
    sha256: str
    """The digest of the checkpoint file, in hexadecimal."""
    held_out_images: int
    training_images: int
    seed: int
    recipe: Mapping[str, Any]
    training_s: float
    tools: Mapping[str, str]

    def spec(self, checkpoint: Path | None) -> ModelSpec:
        """The network of this record, with the weights of `checkpoint`; untrained if that is None."""
        return ModelSpec(
            name=self.model,
            arguments=self.arguments,
            checkpoint=checkpoint,
            num_classes=self.num_classes,
            input=InputSpec(size=self.image_size),
        )


@dataclass(frozen=True, kw_only=True)
class Record(Origin):
    """A classifier's checkpoint, and its accuracy."""

    accuracy: float
    """The share of all held-out images that the network classifies correctly, in float32."""


AnyRecord = TypeVar("AnyRecord", bound=Origin)


def stored(network: nn.Module) -> dict[str, Tensor]:
    """The network's tensors as they are stored (matrices and kernels in fp16), without BatchNorm's counters.

    Raises `UsageError` where a weight is too large for fp16.
    """
    state = {k: v for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    halved = {
        name: (tensor.half() if tensor.ndim > 1 else tensor).contiguous() for name, tensor in state.items()
    }
    for name, tensor in halved.items():
        if not bool(tensor.isfinite().all()):
            raise UsageError(f"{name} does not fit in fp16: train with more weight decay")
    return halved


def serialized(tensors: Mapping[str, Tensor]) -> bytes:
    """The .safetensors file of `tensors`; the same tensors always give the same bytes."""
    data: bytes = needs_extra("safetensors.torch", "export").save(dict(sorted(tensors.items())))
    return data


def sha256_of(data: bytes) -> str:
    """The SHA-256 digest of `data`, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def write(path: Path, data: bytes, record: Origin) -> None:
    """Write the checkpoint, then its record. Each is written completely or not at all.

    The record comes last because it holds the checkpoint's digest: a stop between the two leaves a checkpoint
    that `read_record` refuses, never a wrong one that it accepts.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, data)
    document = {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(record)}
    write_atomically(manifest_path(path), (json.dumps(document, indent=2, allow_nan=False) + "\n").encode())


def read_record(path: Path) -> Record:
    """Read the record of a classifier beside checkpoint `path`; see `read_origin`."""
    return read_origin(path, Record, "examples.digits.train")


def read_origin(path: Path, kind: type[AnyRecord], program: str) -> AnyRecord:
    """Read the record beside checkpoint `path`, and check the checkpoint's digest against it.

    `kind` is the record's class, and `program` the module that writes it, for errors.

    Raises `UsageError` where either file is missing, the record cannot be read, or the digests differ.
    """
    beside = manifest_path(path)
    try:
        document = json.loads(beside.read_bytes())
        if document.pop("schema_version") != SCHEMA_VERSION:
            raise UsageError(f"{beside}: not a record of schema {SCHEMA_VERSION}; train again")
        pairs = tuple((str(name), str(value)) for name, value in document.pop("arguments"))
        record = kind(arguments=pairs, **document)
        found = digest(path)
    except FileNotFoundError as error:
        raise UsageError(f"{error.filename}: no such file; python -m {program} writes it") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{beside}: not a record of a trained network ({error!r}); train again") from None
    if found != record.sha256:
        raise UsageError(f"{path}: its digest differs from the one in {beside.name}; train again")
    return record
