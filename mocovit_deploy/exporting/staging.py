"""Files are made in a hidden folder beside their destination and renamed when they are proven.

A killed export leaves the old files as they were; the hidden folder of a process that is gone is swept by
the next export into the same place.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mocovit_deploy.artifacts.golden import golden_path
from mocovit_deploy.artifacts.manifest import manifest_path
from mocovit_deploy.errors import UsageError

PREFIX = ".mocovit-export-"
REJECTED = "rejected"


@dataclass(frozen=True)
class Staging:
    """A hidden folder inside `destination`, on the same file system, so that renaming is atomic."""

    folder: Path
    destination: Path

    def publish(self, staged_artifact: Path, *, rejected: bool = False) -> Path:
        """Move an artifact, its golden file and its manifest, in this order, to where users find them.

        The manifest comes last and holds the digests of the other two: a reader who finds an old manifest
        beside a new file notices. Returns the artifact's new path.
        """
        target_folder = self.destination / REJECTED if rejected else self.destination
        target_folder.mkdir(exist_ok=True)
        for path in (staged_artifact, golden_path(staged_artifact), manifest_path(staged_artifact)):
            _replace(path, target_folder / path.name, self.folder)
        return target_folder / staged_artifact.name


@contextlib.contextmanager
def staged(destination: Path) -> Iterator[Staging]:
    """A `Staging` for `destination`, which is created; gone with all it still holds at the end.

    Raises `UsageError` where `destination` cannot be written.
    """
    try:
        destination.mkdir(parents=True, exist_ok=True)
        _sweep(destination)
        folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=destination))
    except OSError as error:
        raise UsageError(
            f"{destination}: cannot write there ({error.strerror}); choose another --output-dir"
        ) from None
    try:
        yield Staging(folder, destination)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _replace(source: Path, target: Path, scratch: Path) -> None:
    """Rename over `target`, which may be a folder (an .mlpackage) and then is moved out of the way first."""
    if target.is_dir() and not target.is_symlink():
        target.rename(scratch / f"old-{target.name}")
    source.replace(target)


def _sweep(destination: Path) -> None:
    """Remove the hidden folders of processes that no longer run."""
    for folder in destination.glob(f"{PREFIX}*"):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdigit() and not _runs(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
