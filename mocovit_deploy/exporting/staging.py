"""Files are made in a hidden folder beside their destination and renamed when they are proven.

A killed export leaves the old files, or the new ones (`artifacts.install`); the hidden folder of a process
that is gone is swept by the next export into the same place.
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
        """A text about a file in it, by the file's name alone: the folder is gone when it is read."""
        return text.replace(f"{self.folder}{os.sep}", "")

    def publish(self, staged_artifact: Path, *, rejected: bool = False) -> Path:
        """Move an artifact, its golden file and its manifest together to where users find them.

        Returns the artifact's new path.
        """
        target_folder = self.destination / REJECTED if rejected else self.destination
        target_folder.mkdir(exist_ok=True)
        parts = (staged_artifact, golden_path(staged_artifact), manifest_path(staged_artifact))
        return install(parts, target_folder)


@contextlib.contextmanager
def staged(destination: Path) -> Iterator[Staging]:
    """A `Staging` for `destination`, which is created; gone with all it still holds at the end.

    Raises `UsageError` where `destination` cannot be written.
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
