"""The user's cache folder: programs that are costly to download or build, under keys made of their sources.

    $XDG_CACHE_HOME/mocovit-deploy/   or   ~/.cache/mocovit-deploy/
        bundles/litert-aarch64-3f9c.../
        tools/ziglang-0.15.2/
        emulator/...

A folder is built under a temporary name beside its final one, and renamed when complete. So a folder with its
final name is complete. If two processes build the same folder at once, both succeed and one result is kept.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mocovit_deploy.errors import StableDeviceError

_NOT_OURS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
"""Errors of the user's disk, as opposed to errors of this program."""


def cache_root() -> Path:
    """The folder of this project in the user's cache, which may not exist yet.

    A relative XDG_CACHE_HOME is ignored, as the XDG Base Directory Specification demands.
    """
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    base = named if named.is_absolute() else Path.home() / ".cache"
    return base / "mocovit-deploy"


@contextlib.contextmanager
def building(final: Path) -> Iterator[Path]:
    """Yield an empty folder to fill. It becomes `final` when the block ends, or is removed if it fails.

    If another process made `final` meanwhile, its folder is kept. Raises `StableDeviceError` if the disk is
    full or the folder is not writable.
    """
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=final.parent))
    except OSError as error:
        raise _no_room(final.parent, error) from error
    try:
        yield temporary
        _publish(temporary, final)
    except OSError as error:
        if error.errno in _NOT_OURS:
            raise _no_room(final.parent, error) from error
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _publish(temporary: Path, final: Path) -> None:
    temporary.chmod(0o755)  # mkdtemp makes it private, but other users may run the programs in it
    try:
        temporary.rename(final)
    except OSError:
        if not final.is_dir():  # else another process was faster
            raise


def _no_room(folder: Path, error: OSError) -> StableDeviceError:
    return StableDeviceError(
        f"cannot write into {folder} ({error.strerror or error}); "
        "make room, or set XDG_CACHE_HOME to another folder"
    )
