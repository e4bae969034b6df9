"""A self-contained folder of aarch64 programs: the bench, one runtime, the C library and its loader.

    bench  libLiteRt.so  libcountingclock.so  ld-linux-aarch64.so.1  libc.so.6 ...  licenses/  bundle.json

The same folder runs on a phone (through adb) and under an emulator, always by its own loader:

    ./ld-linux-aarch64.so.1 --library-path . ./bench --runtime=litert ...

`bundle.json` records the digest and the source of every file. The digests are checked before every use.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.toolchain.cache import building, cache_root
from benchmarks.toolchain.compile import compile_bench, compile_clock, sources_digest, zig_cc
from benchmarks.toolchain.debian import fetch_packages, unpack_package
from benchmarks.toolchain.lock import LOCK_FILE, Lock, Wheel, read_lock
from benchmarks.toolchain.wheels import extract_library
from mocovit_deploy.errors import DeployError, UsageError
from mocovit_deploy.files import digest

SCHEMA_VERSION = 1
BENCH = "bench"
LOADER = "ld-linux-aarch64.so.1"
CLOCK = "libcountingclock.so"
_RECORD = "bundle.json"


@dataclass(frozen=True)
class Bundle:
    """A verified bundle on disk."""

    path: Path
    runtime: str
    version: str
    library: str
    files: Mapping[str, str]
    """SHA-256 by relative path, without bundle.json."""

    @property
    def build(self) -> str:
        """The digest of all files that are loaded."""
        loaded = [(name, self.files[name]) for name in self.loaded]
        return hashlib.sha256(repr(loaded).encode()).hexdigest()

    @property
    def loaded(self) -> tuple[str, ...]:
        """The names of the files that running needs: all but the licences."""
        return tuple(sorted(name for name in self.files if not name.startswith("licenses/")))

    @property
    def loaded_paths(self) -> Mapping[str, Path]:
        """The paths of those files, by name."""
        return {name: self.path / name for name in self.loaded}

    @property
    def size_bytes(self) -> int:
        """The size of all files of the bundle together."""
        return sum((self.path / name).stat().st_size for name in self.files)

    def command(self, at: Path, *, preload_clock: bool = False) -> list[str]:
        """The command that starts the bench, where the folder has the path `at`, as on a phone.

        `preload_clock` loads the counting clock first.
        """
        preload = ["--preload", str(at / CLOCK)] if preload_clock else []
        return [
            str(at / LOADER),
            "--library-path",
            str(at),
            *preload,
            str(at / BENCH),
            f"--runtime={self.runtime}",
            f"--library={at / self.library}",
        ]


def find_or_build_bundle(lock: Lock, runtime: str, *, deadline_s: float) -> Bundle:
    """The bundle of `runtime` from the user's cache folder, made there first if it is absent.

    Raises `UsageError` for an unknown runtime or a cached bundle that was altered, `MissingToolError` without
    apt or pip, `TransientDeviceError` for a failed download, `StableDeviceError` for a full disk.
    """
    wheel = lock.runtime(runtime)
    final = bundle_folder(runtime)
    if not final.is_dir():
        with building(final) as folder:
            _fill(folder, lock, runtime, wheel, deadline_s=deadline_s)
    return open_bundle(final)


def bundle_at(path: Path | None, runtime: str, *, deadline_s: float) -> Bundle:
    """The bundle at `path`, or that of the cache folder if `path` is None.

    Raises `UsageError` for a bundle of another runtime, and the errors of `find_or_build_bundle` and
    `open_bundle`.
    """
    if path is None:
        return find_or_build_bundle(read_lock(), runtime, deadline_s=deadline_s)
    found = open_bundle(path)
    if found.runtime != runtime:
        raise UsageError(f"{path}: a bundle of {found.runtime}, but {runtime} was asked for")
    return found


def bundle_folder(runtime: str) -> Path:
    """The folder of the bundle of `runtime`. Its name changes with all that it is made from."""
    ingredients = LOCK_FILE.read_bytes() + sources_digest().encode() + str(SCHEMA_VERSION).encode()
    key = hashlib.sha256(ingredients).hexdigest()[:16]
    return cache_root() / "bundles" / f"{runtime}-aarch64-{key}"


def open_bundle(path: Path) -> Bundle:
    """Read and verify a bundle. Raises `UsageError`, which names a file that is missing, added or altered."""
    try:
        record = json.loads((path / _RECORD).read_bytes())
        found = Bundle(
            path=path.resolve(),
            runtime=str(record["runtime"]),
            version=str(record["version"]),
            library=str(record["library"]),
            files={str(name): str(sha256) for name, sha256 in record["files"].items()},
        )
        version = record["schema_version"]
    except FileNotFoundError:
        raise UsageError(
            f"{path}: not a bundle (it has no {_RECORD}); make one with: mocovit-bench bundle"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(
            f"{path / _RECORD}: damaged; it does not describe a bundle; remove the folder and run: "
            "mocovit-bench bundle"
        ) from None
    if version != SCHEMA_VERSION:
        raise UsageError(f"{path / _RECORD}: bundle schema {version}, this version reads {SCHEMA_VERSION}")
    _verify(found)
    return found


def _verify(bundle: Bundle) -> None:
    present = _digests(bundle.path)
    for name in sorted(set(present) | set(bundle.files)):
        if present.get(name) != bundle.files.get(name):
            what = (
                "is missing"
                if name not in present
                else "does not belong to it"
                if name not in bundle.files
                else "was altered"
            )
            raise UsageError(
                f"{bundle.path}: broken bundle, {name} {what}; remove it and run: mocovit-bench bundle"
            )
    if missing := {BENCH, LOADER, CLOCK, bundle.library} - set(bundle.files):
        raise UsageError(f"{bundle.path}: broken bundle, its record has no {', '.join(sorted(missing))}")


def _digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != _RECORD)
    return {path.relative_to(folder).as_posix(): digest(path) for path in files}


def _fill(folder: Path, lock: Lock, runtime: str, wheel: Wheel, *, deadline_s: float) -> None:
    extract_library(wheel, folder, deadline_s=deadline_s)
    debian = _add_system(folder, lock, deadline_s=deadline_s)
    compiler = zig_cc(lock.compiler, target=lock.compiler.target, deadline_s=deadline_s)
    compile_bench(compiler, folder / BENCH, deadline_s=deadline_s)
    compile_clock(compiler, folder / CLOCK, deadline_s=deadline_s)
    for path in folder.iterdir():
        if path.is_file():
            path.chmod(0o755)
    record = {
        "schema_version": SCHEMA_VERSION,
        "runtime": runtime,
        "version": wheel.version,
        "library": wheel.library,
        "sources": {
            "wheel": {"package": wheel.package, "version": wheel.version, "sha256": wheel.sha256},
            "debian": debian,
            "compiler": {
                "package": lock.compiler.package,
                "version": lock.compiler.version,
                "target": lock.compiler.target,
            },
            "bench_sources_sha256": sources_digest(),
        },
        "files": dict(sorted(_digests(folder).items())),
    }
    (folder / _RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _add_system(folder: Path, lock: Lock, *, deadline_s: float) -> list[dict[str, Any]]:
    """Put the loader and the C and C++ libraries into the bundle. Returns the packages, for the record."""
    system = lock.system
    (folder / "licenses").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mocovit-debian-") as name:
        root = Path(name) / "root"
        packages = fetch_packages(
            system.packages,
            suite=system.suite,
            architecture=system.architecture,
            into=Path(name),
            deadline_s=deadline_s,
        )
        for package in packages:
            unpack_package(package, root, deadline_s=deadline_s)
            licence = root / "usr/share/doc" / package.name / "copyright"
            if licence.is_file():  # a package may link to another's folder instead
                shutil.copyfile(licence, folder / "licenses" / f"{package.name}-copyright")
        for library in system.libraries:
            # Found by name in the unpacked tree, because some libraries of Debian are links.
            found = [path for path in root.rglob(library) if path.is_file()]
            if not found:
                raise DeployError(f"Debian {system.suite} has no {library} in {', '.join(system.packages)}")
            shutil.copyfile(found[0], folder / library)
    return [
        {"package": each.name, "version": each.version, "suite": each.suite, "sha256": each.sha256}
        for each in packages
    ]
