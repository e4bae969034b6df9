"""From the path of a file to the artifact, with its manifest, and its golden file."""

from __future__ import annotations

from pathlib import Path

from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.golden import Golden, read_golden
from mocovit_deploy.artifacts.manifest import manifest_path, read_manifest
from mocovit_deploy.errors import UsageError
from mocovit_deploy.files import digest
from mocovit_deploy.spec import Preprocessing
from mocovit_deploy.untrusted.read import size_of

FORMATS = {".tflite": "tflite", ".onnx": "onnx"}
"""The formats that the runtimes here execute, by suffix."""


def load_subject(path: Path, *, checked: bool) -> tuple[Artifact, Golden | None]:
    """The artifact at `path`, and its golden file (None if there is no manifest).

    A file without a manifest can be measured only unchecked (`checked` false), because nothing says what it
    should compute. Raises `UsageError` for a file that is absent, of a format that does not run here, or
    different from the one that its manifest describes.
    """
    if path.suffix not in FORMATS:
        raise UsageError(f"{path}: no runtime here runs such a file; give a .tflite or an .onnx file")
    if not path.is_file():
        raise UsageError(f"{path}: {'not a file' if path.exists() else 'no such file'}")
    try:
        size_of(path)
    except ValueError as error:
        raise UsageError(f"{path}: cannot be read ({error})") from None
    if not checked and not manifest_path(path).exists():
        return _bare(path), None
    try:
        artifact = read_manifest(path)
    except UsageError as error:
        raise UsageError(f"{error}; to measure it unchecked, give --no-verify") from None
    if digest(path) != artifact.sha256:
        raise UsageError(f"{path}: not the file its manifest describes (its digest differs); export again")
    return artifact, read_golden(artifact)


def _bare(path: Path) -> Artifact:
    return Artifact(
        path=path,
        format=FORMATS[path.suffix],
        recipe="unknown",
        model=path.stem,
        weights="unknown",
        inputs=(),
        outputs=(),
        preprocessing=Preprocessing(),
        sha256=digest(path),
        golden_sha256="",
    )
