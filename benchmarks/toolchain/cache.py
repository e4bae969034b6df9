"""The user's cache folder: what is costly to fetch or to build, kept under a key made of its contents.

    $XDG_CACHE_HOME/mocovit-deploy/   or   ~/.cache/mocovit-deploy/
        bundles/litert-aarch64-3f9c.../
        tools/ziglang-0.15.2/
        emulator/...

A folder is built under a temporary name beside its final one and renamed when complete, so a folder that
has its final name is whole. Two processes that build the same thing at once both succeed; one result is
kept.
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
"""What the user's disk says, as opposed to a mistake of this program."""


def cache_root() -> Path:
    """The folder of this project in the user's cache. It may not exist yet.

    A relative XDG_CACHE_HOME is ignored, as the XDG Base Directory Specification asks.
    """
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    base = named if named.is_absolute() else Path.home() / ".cache"
    return base / "mocovit-deploy"


@contextlib.contextmanager
def building(final: Path) -> Iterator[Path]:
    """Yield an empty folder to fill; it becomes `final` when the block ends, and vanishes when it fails.

    If another process has made `final` meanwhile, theirs is kept and ours is dropped. Raises
    `StableDeviceError` when the disk is full or the folder cannot be written.
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
    temporary.chmod(0o755)  # mkdtemp makes it private; other users may run what is in it
    try:
        temporary.rename(final)
    except OSError:
        if not final.is_dir():  # not "somebody else was faster" but a real failure
            raise


def _no_room(folder: Path, error: OSError) -> StableDeviceError:
    return StableDeviceError(
        f"cannot write into {folder} ({error.strerror or error}); "
        "make room, or set XDG_CACHE_HOME to another folder"
    )
