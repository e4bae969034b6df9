"""A trained network on disk: its weights, and a record of what they are and how good.

    mocovit_0_5_96.safetensors         matrices and kernels in fp16, vectors in fp32: half the size
    mocovit_0_5_96.safetensors.json    the record

The stored numbers *are* the network: every loader widens them to float32, exactly, and accuracy is measured
on what was read back. So rounding to fp16 is part of training, never an error of an export.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocovit_deploy.artifacts.manifest import manifest_path
from mocovit_deploy.errors import UsageError
from mocovit_deploy.extras import needs_extra
from mocovit_deploy.files import digest, write_atomically
from mocovit_deploy.spec import InputSpec, ModelSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Record:
    """What a checkpoint holds, where it came from and what it is worth."""

    model: str
    arguments: tuple[tuple[str, str], ...]
    num_classes: int
    image_size: int
    sha256: str
    """Of the checkpoint file."""
    accuracy: float
    """On all held-out images, in float32."""
    held_out_images: int
    training_images: int
    seed: int
    recipe: Mapping[str, Any]
    training_s: float
    tools: Mapping[str, str]

    def spec(self, checkpoint: Path | None) -> ModelSpec:
        """The network this is a record of, with the weights of `checkpoint` if any."""
        return ModelSpec(
            name=self.model,
            arguments=self.arguments,
            checkpoint=checkpoint,
            num_classes=self.num_classes,
            input=InputSpec(size=self.image_size),
        )


def stored(network: nn.Module) -> dict[str, Tensor]:
    """The network's tensors as they are stored, without BatchNorm's batch counters.

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
    return hashlib.sha256(data).hexdigest()


def write(path: Path, data: bytes, record: Record) -> None:
    """Write checkpoint and record, each whole or not at all; the record last, for it vouches."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, data)
    document = {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(record)}
    write_atomically(manifest_path(path), (json.dumps(document, indent=2, allow_nan=False) + "\n").encode())


def read_record(path: Path) -> Record:
    """The record beside checkpoint `path`.

    Raises `UsageError` where either is missing, the record is not one, or it speaks of another file.
    """
    beside = manifest_path(path)
    try:
        document = json.loads(beside.read_bytes())
        if document.pop("schema_version") != SCHEMA_VERSION:
            raise UsageError(f"{beside}: not a record of schema {SCHEMA_VERSION}; train again")
        pairs = tuple((str(name), str(value)) for name, value in document.pop("arguments"))
        record = Record(arguments=pairs, **document)
        found = digest(path)
    except FileNotFoundError as error:
        raise UsageError(
            f"{error.filename}: no such file; python -m examples.digits.train writes it"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{beside}: not a record of a trained network ({error!r}); train again") from None
    if found != record.sha256:
        raise UsageError(f"{path}: not the file its record speaks of (its digest differs); train again")
    return record
