"""Files are made in a hidden folder inside their destination and renamed when they are proven.

A killed export leaves either the old files or the new ones (`artifacts.install`). The next export to the same
place removes the hidden folder of a process that no longer runs.
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
from mocovit_deploy.artifacts.install import finish_all, install
from mocovit_deploy.artifacts.manifest import manifest_path
from mocovit_deploy.errors import UsageError

PREFIX = ".mocovit-export-"
REJECTED = "rejected"


@dataclass(frozen=True)
class Staging:
    """A hidden folder inside `destination`, on the same file system, so that renaming is atomic."""

    folder: Path
    destination: Path

    def told(self, text: str) -> str:
        """`text` without the hidden folder's path, because the folder is gone when a user reads it."""
        return text.replace(f"{self.folder}{os.sep}", "")

    def publish(self, staged_artifact: Path, *, rejected: bool = False) -> Path:
        """Move an artifact, its golden file and its manifest together to the destination, or to `rejected/`.

        Returns the artifact's new path. Raises `OSError` if a file cannot be moved.
        """
        target_folder = self.destination / REJECTED if rejected else self.destination
        target_folder.mkdir(exist_ok=True)
        parts = (staged_artifact, golden_path(staged_artifact), manifest_path(staged_artifact))
        return install(parts, target_folder)


@contextlib.contextmanager
def staged(destination: Path) -> Iterator[Staging]:
    """A `Staging` in `destination`, which is created. At the end it is removed with all it still holds.

    Raises `UsageError` if `destination` cannot be written.
    """
    try:
        destination.mkdir(parents=True, exist_ok=True)
        _sweep(destination)
        finish_all(destination)
        folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=destination))
    except OSError as error:
        raise UsageError(
            f"{destination}: cannot write there ({error.strerror}); choose another --output-dir"
        ) from None
    try:
        yield Staging(folder, destination)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
