"""Building a qemu-aarch64 (user mode) that loads plugins, from Debian's signed source, without root.

Debian and its derivatives build qemu-user without plugins. The build needs a C compiler and pkg-config.
All else is downloaded into temporary folders: qemu's source and glib's headers from the Debian archive
(apt checks the signatures), meson and ninja from the Python package index (by digest). The result is small
and can be moved:

    bin/qemu-aarch64   lib/libglib-2.0.so.0 ...   include/qemu-plugin.h   include/glib-2.0/   emulator.json
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.reports import schema
from benchmarks.toolchain.cache import building, cache_root
from benchmarks.toolchain.debian import fetch_packages, fetch_source, unpack_package
from mocovit_deploy.errors import DeployError, MissingToolError, TransientDeviceError
from mocovit_deploy.files import digest
from mocovit_deploy.untrusted.process import run_process

Say = Callable[[str], None]

SOURCE_SUITE = "trixie"
HEADERS_SUITE = "bookworm"  # its C library is older than that of most machines, so its glib loads there
HEADER_PACKAGES = (
    "libglib2.0-dev",
    "libglib2.0-0",
    "libpcre2-dev",
    "libpcre2-8-0",
    "zlib1g-dev",
    "zlib1g",
)
LIBRARIES = ("libglib-2.0.so.0", "libgmodule-2.0.so.0", "libpcre2-8.so.0", "libz.so.1")

CONFIGURE = (
    "--target-list=aarch64-linux-user",
    "--without-default-features",
    "--enable-linux-user",
    "--enable-tcg",
    "--enable-plugins",
    "--disable-system",
    "--disable-tools",
    "--disable-docs",
    "--disable-guest-agent",
    "--disable-werror",
    "--disable-download",
    "--disable-debug-info",
)

_RPATH = "$ORIGIN/../lib"

REQUIREMENTS = Path(__file__).parents[1] / "native" / "counting" / "build-requirements.txt"

_MACHINES = {"x86_64": ("amd64", "x86_64-linux-gnu"), "aarch64": ("arm64", "aarch64-linux-gnu")}
_NEEDED = {"cc": "gcc", "pkg-config": "pkg-config", "tar": "tar", "xz": "xz-utils", "dpkg-deb": "dpkg"}


def recipe_key() -> str:
    """A key that changes with the recipe, so that an emulator of another recipe is not used."""
    recipe = repr((SOURCE_SUITE, HEADERS_SUITE, HEADER_PACKAGES, CONFIGURE))
    return hashlib.sha256(recipe.encode() + REQUIREMENTS.read_bytes()).hexdigest()[:16]


class _Steps:
    """Runs the steps of a build within one deadline, and keeps the log of a step that fails."""

    def __init__(self, log: Path, deadline_s: float) -> None:
        self.log = log
        self._begun_s = time.monotonic()
        self._end_s = self._begun_s + deadline_s

    def taken_s(self) -> float:
        """Seconds since the first step began."""
        return time.monotonic() - self._begun_s

    def left_s(self) -> float:
        """Seconds until the deadline. Raises `TransientDeviceError` if it has passed."""
        left = self._end_s - time.monotonic()
        if left <= 0:
            raise TransientDeviceError(
                "building the emulator took longer than allowed; try again with a larger --deadline-s"
            )
        return left

    def run(
        self, argv: Sequence[str | Path], environment: Mapping[str, str], cwd: Path | None = None
    ) -> None:
        """Run one program. Raises `DeployError` if it fails, with the path of its log."""
        done = run_process(argv, deadline_s=self.left_s(), cwd=cwd, environment=environment)
        if done.ok:
            return
        self.log.parent.mkdir(parents=True, exist_ok=True)
        words = " ".join(map(str, argv))
        self.log.write_text(f"$ {words}\n{done.stdout}\n{done.stderr}\n{done.reason()}\n", encoding="utf-8")
        raise DeployError(f"building the emulator failed at {Path(argv[0]).name}: see {self.log}")


def build_qemu(final: Path, *, deadline_s: float, say: Say) -> None:
    """Build qemu into the folder `final`, which takes about four minutes on two cores.

    `final` is made complete or not at all. `say` gets a line for each step. Raises `MissingToolError` for
    programs that must be installed first, `TransientDeviceError` for a failed download or at the deadline,
    `DeployError` if a step fails, with the path of its log.
    """
    architecture, triplet = _machine()
    _require_tools()
    steps = _Steps(cache_root() / "emulator" / "build-failed.log", deadline_s)
    with tempfile.TemporaryDirectory(prefix="mocovit-emulator-") as name, building(final) as folder:
        work = Path(name)
        say("fetching qemu's source and glib's headers (signatures checked by apt)")
        source, version = _fetch_source(work, steps)
        prefix = _fetch_headers(work, architecture, triplet, steps)
        say("installing meson and ninja into a folder of their own")
        environment = _tool_environment(work, prefix, triplet, steps)
        say(f"configuring qemu {version}")
        _configure(source, work, prefix, triplet, environment, steps)
        say("compiling qemu (some minutes)")
        jobs = str(min(2, os.cpu_count() or 1))
        steps.run(["ninja", "-j", jobs, "qemu-aarch64"], environment, source / "build")
        _collect(source, prefix, triplet, folder)
        record = {"qemu": version, "suite": SOURCE_SUITE, "sha256": digest(folder / "bin" / "qemu-aarch64")}
        (folder / "emulator.json").write_text(schema.to_json(record), encoding="utf-8")
    say(f"built in {steps.taken_s():.0f} s")
    steps.log.unlink(missing_ok=True)


def fetch_headers_only(final: Path, *, deadline_s: float, say: Say) -> None:
    """Make only `include/` in `final`: headers to compile the plugin with, for an installed qemu.

    Raises like `build_qemu`.
    """
    architecture, triplet = _machine()
    _require_tools()
    steps = _Steps(cache_root() / "emulator" / "build-failed.log", deadline_s)
    with tempfile.TemporaryDirectory(prefix="mocovit-emulator-") as name, building(final) as folder:
        work = Path(name)
        say("fetching the headers of qemu's plugin interface and of glib")
        source, _ = _fetch_source(work, steps)
        prefix = _fetch_headers(work, architecture, triplet, steps)
        _collect_headers(source, prefix, triplet, folder)


def _machine() -> tuple[str, str]:
    machine = platform.machine()
    if not sys.platform.startswith("linux") or machine not in _MACHINES:
        raise MissingToolError(
            f"the counting emulator builds on Linux (x86-64 or ARM64), not on {sys.platform} {machine}; "
            "count on such a machine"
        )
    return _MACHINES[machine]


def _require_tools() -> None:
    missing = [package for program, package in _NEEDED.items() if shutil.which(program) is None]
    if missing:
        raise MissingToolError(f"building the emulator needs: apt-get install {' '.join(missing)}")


def _fetch_source(work: Path, steps: _Steps) -> tuple[Path, str]:
    downloads, source = work / "source-package", work / "qemu"
    downloads.mkdir()
    source.mkdir()
    files = fetch_source("qemu", suite=SOURCE_SUITE, into=downloads, deadline_s=steps.left_s())
    archives = [fetched for fetched in files if ".orig.tar." in fetched.path.name]
    if len(archives) != 1:
        raise DeployError(f"Debian's qemu source has {len(archives)} upstream archives, one was expected")
    steps.run(
        ["tar", "--extract", "--strip-components=1", "--file", archives[0].path, "--directory", source], {}
    )
    return source, (source / "VERSION").read_text(encoding="utf-8").strip()


def _fetch_headers(work: Path, architecture: str, triplet: str, steps: _Steps) -> Path:
    downloads, prefix = work / "packages", work / "prefix"
    downloads.mkdir()
    prefix.mkdir()
    for package in fetch_packages(
        HEADER_PACKAGES,
        suite=HEADERS_SUITE,
        architecture=architecture,
        into=downloads,
        deadline_s=steps.left_s(),
    ):
        unpack_package(package, prefix, deadline_s=steps.left_s())
    # Some packages keep the library in /lib and link to it from /usr/lib by an absolute path.
    libraries = prefix / "usr" / "lib" / triplet
    for member in (prefix / "lib" / triplet).glob("*"):
        shutil.move(member, libraries / member.name)
    for link in libraries.glob("*.so"):
        target = link.readlink() if link.is_symlink() else None
        if target is not None and target.is_absolute():
            link.unlink()
            link.symlink_to(target.name)
    return prefix


def _tool_environment(work: Path, prefix: Path, triplet: str, steps: _Steps) -> dict[str, str]:
    tools = work / "tools"
    steps.run([sys.executable, "-m", "venv", "--without-pip", tools], {})
    steps.run(
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            tools / "bin" / "python",
            "install",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            "--require-hashes",
            "--requirement",
            REQUIREMENTS,
        ],
        {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"},
    )
    folders = (prefix / "usr" / "lib" / triplet / "pkgconfig", prefix / "usr" / "share" / "pkgconfig")
    return {
        "PATH": f"{tools / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PKG_CONFIG_SYSROOT_DIR": str(prefix),
        "PKG_CONFIG_LIBDIR": os.pathsep.join(map(str, folders)),
        "PKG_CONFIG_PATH": "",
    }


def _configure(
    source: Path, work: Path, prefix: Path, triplet: str, environment: Mapping[str, str], steps: _Steps
) -> None:
    # Debian's source comes without firmware, which user mode does not need.
    meson = source / "meson.build"
    text = meson.read_text(encoding="utf-8")
    firmware = "\nsubdir('pc-bios')\n"
    if text.count(firmware) != 1:
        raise DeployError("this qemu's meson.build is not as expected; build an emulator from another suite")
    meson.write_text(text.replace(firmware, "\nroms = []\n"), encoding="utf-8")
    build_folder = source / "build"
    build_folder.mkdir()
    libraries = prefix / "usr" / "lib" / triplet
    steps.run(
        [
            source / "configure",
            *CONFIGURE,
            f"--python={work / 'tools' / 'bin' / 'python'}",
            f"--extra-cflags=-I{prefix / 'usr' / 'include'}",
            # RPATH, not RUNPATH: RPATH also applies to the libraries of libraries.
            f"--extra-ldflags=-s -L{libraries} -Wl,--disable-new-dtags,-rpath,{_RPATH}",
        ],
        environment,
        build_folder,
    )


def _collect(source: Path, prefix: Path, triplet: str, folder: Path) -> None:
    for name in ("bin", "lib"):
        (folder / name).mkdir()
    libraries = prefix / "usr" / "lib" / triplet
    program = folder / "bin" / "qemu-aarch64"
    program.write_bytes(_without_build_folder((source / "build" / "qemu-aarch64").read_bytes(), libraries))
    program.chmod(0o755)
    for library in LIBRARIES:
        shutil.copy2(libraries / library, folder / "lib" / library)
    _collect_headers(source, prefix, triplet, folder)


def _without_build_folder(program: bytes, libraries: Path) -> bytes:
    """Remove the build folder from the library path that meson wrote into `program`.

    The build folder is below /tmp and will be removed. If its path stayed, another user could make a folder
    of that name later and put libraries into this program. The path is a string in a table, so it can be
    shortened in place.
    """
    tail = f":{libraries}".encode()
    written = _RPATH.encode() + tail
    if program.count(str(libraries).encode()) != 1 or program.count(written) != 1:
        raise DeployError(
            "qemu was linked with an unexpected library path, so it is not used; build it again"
        )
    return program.replace(written, _RPATH.encode() + bytes(len(tail)))


def _collect_headers(source: Path, prefix: Path, triplet: str, folder: Path) -> None:
    include = folder / "include"
    shutil.copytree(prefix / "usr" / "include" / "glib-2.0", include / "glib-2.0")
    config = prefix / "usr" / "lib" / triplet / "glib-2.0" / "include" / "glibconfig.h"
    shutil.copy2(config, include / "glib-2.0" / "glibconfig.h")
    shutil.copy2(source / "include" / "qemu" / "qemu-plugin.h", include / "qemu-plugin.h")
