"""Finding a qemu that executes aarch64 programs. Version 7.2 or later runs files; counting needs plugins."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from benchmarks.toolchain import emulator
from mocovit_deploy.errors import MissingToolError, StableDeviceError
from mocovit_deploy.untrusted.process import run_process

OLDEST = (7, 2)
NAMES = ("qemu-aarch64", "qemu-aarch64-static")
VARIABLE = emulator.QEMU_VARIABLE
_ASK_S = 30.0


@dataclass(frozen=True)
class Qemu:
    """A program that executes aarch64 programs."""

    path: Path
    version: str

    def command(self, cpu: str) -> list[str]:
        """The first words of a command line. The environment of the guest is empty."""
        return ["env", "-i", str(self.path), "-cpu", cpu]


def find_qemu() -> Qemu:
    """The qemu that $MOCOVIT_QEMU names, else one in the PATH, else that of `mocovit-bench emulator`.

    Raises `MissingToolError` if there is none, `StableDeviceError` if the one named is unfit.
    """
    named = os.environ.get(VARIABLE)
    if named:
        version = _version(named)
        if version is None:
            raise StableDeviceError(f"{VARIABLE}={named} is not a qemu-aarch64 of version 7.2 or later")
        return Qemu(Path(named), version)
    for name in NAMES:
        path = shutil.which(name)
        if path and (version := _version(path)):
            return Qemu(Path(path), version)
    try:
        built = emulator.find_emulator()
    except MissingToolError:
        raise MissingToolError(
            "no qemu that runs aarch64 programs; run: apt-get install qemu-user, or: mocovit-bench emulator"
        ) from None
    return Qemu(built.qemu, built.version)


def check_cpu(qemu: Path, cpu: str) -> None:
    """Raise `StableDeviceError` if this qemu does not know the core (cortex-a55 came with 8.0)."""
    known = run_process([qemu, "-cpu", "help"], deadline_s=_ASK_S).stdout.split()
    if cpu not in known:
        raise StableDeviceError(f"{qemu} does not know {cpu}; choose another --cpu, or a newer qemu")


def _version(path: str) -> str | None:
    """The version of a qemu-aarch64 that is new enough; None for anything else."""
    try:
        said = run_process([path, "--version"], deadline_s=_ASK_S).stdout
    except OSError:
        return None
    found = re.search(r"qemu-aarch64\S* version ((\d+)\.(\d+)[.\d]*)", said)
    return found[1] if found and (int(found[2]), int(found[3])) >= OLDEST else None
