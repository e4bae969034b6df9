"""Files without a manifest, as formats take them."""

from pathlib import Path

from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.operator import FileOperator
from mocovit_deploy.formats import format_named
from mocovit_deploy.spec import Preprocessing


def bare(path: Path) -> Artifact:
    """The artifact of a file of which only its suffix is known."""
    return Artifact(
        path=path,
        format=path.suffix[1:],
        recipe="unknown",
        model=path.stem,
        weights="unknown",
        inputs=(),
        outputs=(),
        preprocessing=Preprocessing(),
        sha256="",
        golden_sha256="",
    )


def operators_of(path: Path) -> tuple[FileOperator, ...]:
    """The operators of a .tflite or .onnx file."""
    return format_named(path.suffix[1:]).operators(bare(path))
