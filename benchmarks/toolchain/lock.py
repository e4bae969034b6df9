"""`bundle.lock.toml`: the exact packages of a bundle, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.reports import schema
from mocovit_deploy.errors import UsageError, unknown_choice

LOCK_FILE = Path(__file__).with_name("bundle.lock.toml")


@dataclass(frozen=True)
class Wheel:
    """A wheel of the package index, and the one shared library in it that a bundle takes."""

    package: str
    version: str
    platform: str
    sha256: str
    member: str
    """The path of the library inside the wheel."""
    library: str
    """The name of the library in the bundle."""


@dataclass(frozen=True)
class System:
    """The C and C++ libraries of a bundle, and the loader that starts programs with them."""

    suite: str
    architecture: str
    packages: tuple[str, ...]
    libraries: tuple[str, ...]


@dataclass(frozen=True)
class Compiler:
    """The cross-compiler of the bench."""

    package: str
    version: str
    target: str
    sha256: tuple[str, ...]
    """One digest for each platform that it can be installed on; pip chooses the file."""


@dataclass(frozen=True)
class Lock:
    """The contents of the lock file."""

    runtimes: dict[str, Wheel]
    system: System
    compiler: Compiler

    def runtime(self, name: str) -> Wheel:
        """The wheel of the runtime `name`. Raises `UsageError` if there is none."""
        if name not in self.runtimes:
            raise unknown_choice("runtime", name, self.runtimes)
        return self.runtimes[name]


def read_lock(path: Path = LOCK_FILE) -> Lock:
    """The contents of the lock file. Raises `UsageError` if it is damaged."""
    document: dict[str, Any] = schema.read_toml(path)
    try:
        return _lock_from(document)
    except (AttributeError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: not a lock file of bundles ({error!r:.100})") from None


def _lock_from(document: dict[str, Any]) -> Lock:
    system, compiler = document["system"], document["compiler"]
    return Lock(
        runtimes={name: Wheel(**fields) for name, fields in document["runtime"].items()},
        system=System(
            **{**system, "packages": tuple(system["packages"]), "libraries": tuple(system["libraries"])}
        ),
        compiler=Compiler(**{**compiler, "sha256": tuple(compiler["sha256"])}),
    )
