"""The manifest (mocovit_1_0_224_fp32.tflite.json): what a file is, what made it, how it was checked."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from mocovit_deploy.artifacts.artifact import Artifact, preprocessing_from
from mocovit_deploy.artifacts.install import finish
from mocovit_deploy.artifacts.manifest_rules import check_manifest
from mocovit_deploy.errors import UsageError
from mocovit_deploy.files import write_atomically
from mocovit_deploy.spec import TensorSpec
from mocovit_deploy.terminal.printable import printable
from mocovit_deploy.untrusted.read import check_folder, read_json, size_of

SCHEMA_VERSION = 1


def manifest_path(artifact_path: Path) -> Path:
    """Where the manifest of an artifact lies."""
    return artifact_path.parent / f"{artifact_path.name}.json"


def write_manifest(artifact: Artifact) -> None:
    """Write the manifest beside `artifact.path`, whole or not at all. Raises `OSError`."""
    fields = dataclasses.asdict(artifact)
    fields["path"] = artifact.path.name
    document = {"schema_version": SCHEMA_VERSION, **fields}
    text = json.dumps(document, indent=2, default=dict, allow_nan=False) + "\n"
    write_atomically(manifest_path(artifact.path), text.encode())


def read_manifest(artifact_path: Path) -> Artifact:
    """Read the manifest beside `artifact_path`.

    An installation that was cut short is completed first. Raises `UsageError` if the file or its manifest is
    absent, or the manifest is not one that `mocovit-export` writes.
    """
    finish(artifact_path)
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
            f"{path}: the manifest or the file beside it cannot be read ({printable(error)})"
        ) from None
    version = document.get("schema_version") if isinstance(document, dict) else None
    if version != SCHEMA_VERSION:
        raise UsageError(f"{path}: manifest schema {version!r:.40}, this version reads {SCHEMA_VERSION}")
    try:
        check_manifest(document)
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
    preprocessing = preprocessing_from(fields["preprocessing"])
    done = {key: tuple(fields.get(key, ())) for key in ("passes", "lowering")}
    plain = {**fields, **tensors, **done}
    return Artifact(**{**plain, "path": path, "preprocessing": preprocessing})
