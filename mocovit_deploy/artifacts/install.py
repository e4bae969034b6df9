"""Put a file, its golden file and its manifest in place together: all three, or none.

    staged/net.tflite ...  ->  .mocovit-install-net.tflite/...  ->  net.tflite, net.tflite.golden.npz, ...
                           one rename                          one rename each

The first rename decides. A process that is killed before it leaves the old files. A process that is killed
after it leaves a hidden folder with the files that are not yet in place; the next reader or export finds that
folder and moves the rest.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from mocovit_deploy.errors import UsageError

PREFIX = ".mocovit-install-"
REPLACED = "replaced"
"""The name, inside the hidden folder, under which a replaced folder (an old .mlpackage) is put."""


def install(paths: Sequence[Path], destination: Path) -> Path:
    """Move `paths` into the folder `destination`; returns the new path of the first.

    Both lie on one file system. Raises `OSError` if a rename fails.
    """
    name = paths[0].name
    finish(destination / name)
    together = paths[0].with_name(f"{PREFIX}{name}")
    together.mkdir()
    for path in paths:
        path.replace(together / path.name)
    together.replace(destination / together.name)
    finish(destination / name)
    return destination / name


def finish(path: Path) -> None:
    """Complete the installation of the file `path` and its companions, if one was cut short.

    Raises `UsageError` if it cannot be completed.
    """
    waiting = path.parent / f"{PREFIX}{path.name}"
    try:
        with _held(waiting):
            for part in sorted(waiting.iterdir(), key=lambda one: len(one.name)):
                if part.name != REPLACED:
                    _put(part, path.parent / part.name, waiting / REPLACED)
            shutil.rmtree(waiting)
    except FileNotFoundError:
        return  # there is nothing to complete, or another process has done it
    except OSError as error:
        raise UsageError(
            f"{path}: its export was cut short and cannot be completed ({error.strerror}); "
            f"export again where {path.parent} can be written"
        ) from None


def finish_all(folder: Path) -> None:
    """`finish` everything in `folder`."""
    for waiting in folder.glob(f"{PREFIX}*"):
        finish(folder / waiting.name.removeprefix(PREFIX))


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Lock `folder`, so that one process at a time completes it. `FileNotFoundError` if it does not exist."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _put(part: Path, target: Path, replaced: Path) -> None:
    """Rename `part` to `target`; a folder that lies at `target` is first moved to `replaced`."""
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(replaced, ignore_errors=True)
        target.rename(replaced)
    part.replace(target)
