"""Finding adb: the user's own, so that only one adb server uses the phone."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from mocovit_deploy.errors import MissingToolError, UsageError

VARIABLE = "ADB"


def find_adb() -> Path:
    """The program that $ADB names, else one in the PATH, in the Android SDK, or in the adbutils package.

    Raises `UsageError` if $ADB names no program, `MissingToolError` if there is no adb.
    """
    named = os.environ.get(VARIABLE)
    if named:
        found = shutil.which(named)
        if found is None:
            raise UsageError(f"{VARIABLE}={named}: no such program; name adb itself, or unset {VARIABLE}")
        return Path(found)
    for candidate in _candidates():
        found = shutil.which(candidate)
        if found is not None:
            return Path(found)
    raise MissingToolError(
        "adb is not installed; run: apt-get install adb, or set ANDROID_HOME to the folder of an Android SDK"
    )


def _candidates() -> Iterator[str]:
    yield "adb"
    for variable in ("ANDROID_HOME", "ANDROID_SDK_ROOT"):
        if sdk := os.environ.get(variable):
            yield str(Path(sdk) / "platform-tools" / "adb")
    package = importlib.util.find_spec("adbutils")
    if package is not None and package.origin:
        yield str(Path(package.origin).parent / "binaries" / "adb")
