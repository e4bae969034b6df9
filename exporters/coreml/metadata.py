"""The description in a Core ML file: author, licence, version, a text and user-defined strings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exporters.coreml.toolchain import coremltools, quiet_coremltools
from mocovit_deploy.errors import ConversionError
from mocovit_deploy.files import write_atomically
from mocovit_deploy.ship.metadata import FileMetadata
from mocovit_deploy.spec import TensorSpec

PREFIX = "mocovit_deploy."
"""The prefix of the keys that this project writes into a file's user-defined metadata."""
KEPT = (f"{PREFIX}recipe", f"{PREFIX}marks", f"{PREFIX}modules")
"""Keys that `write_package` writes: the recipe; the marks of values; the torch modules of unmarked values."""
IN_HALF = "_cast_fp16"
"""The suffix that coremltools adds to the name of a value that it computes in float16."""
SPECIFICATION = Path("Data", "com.apple.CoreML", "model.mlmodel")
"""Where an .mlpackage keeps the protocol buffer; weights lie beside it."""


def fill_description(description: Any, metadata: FileMetadata) -> None:
    """Replace the `description.metadata` of a Core ML specification; keys of others are kept."""
    fields = description.metadata
    fields.author, fields.license = metadata.author, metadata.licence
    fields.versionString, fields.shortDescription = metadata.version, metadata.description
    for key in [key for key in fields.userDefined if key.startswith(PREFIX) and key not in KEPT]:
        del fields.userDefined[key]
    fields.userDefined.update({f"{PREFIX}{key}": text for key, text in metadata.strings().items()})


def describe(
    path: Path, metadata: FileMetadata, _inputs: Sequence[TensorSpec], _outputs: Sequence[TensorSpec]
) -> None:
    """Write `metadata` into the package at `path`. Weights are not touched.

    Raises `ConversionError` if the program would change.
    """
    ct = coremltools()
    file = path / SPECIFICATION
    with quiet_coremltools():
        specification = ct.proto.Model_pb2.Model()
        specification.ParseFromString(file.read_bytes())
        before = specification.mlProgram.SerializeToString(deterministic=True)
        fill_description(specification.description, metadata)
        data = specification.SerializeToString(deterministic=True)
        again = ct.proto.Model_pb2.Model.FromString(data)
    if again.mlProgram.SerializeToString(deterministic=True) != before:
        raise ConversionError(f"{path.name}: its program would change with its description")
    write_atomically(file, data)
