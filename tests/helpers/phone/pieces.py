"""What virtual phones are made of, from the Debian archive: the real adbd and adb, an aarch64 shell.

Extracted, never installed: Debian's adbd package would start a daemon that listens on all interfaces.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.targets.emulated.qemu import find_qemu
from benchmarks.toolchain.cache import building, cache_root
from benchmarks.toolchain.debian import fetch_packages, unpack_package
from mocovit_deploy.errors import MissingToolError

_FETCH_S = 300.0
_KEY = "1"
"""To be raised with every change of the list below."""

_PACKAGES = (
    (
        "bookworm-backports",
        "amd64",
        (
            "adb",
            "adbd",
            "android-libbase",
            "android-libboringssl",
            "android-libcutils",
            "android-liblog",
            "android-libziparchive",
        ),
    ),
    ("bookworm", "amd64", ("libbrotli1", "liblz4-1", "libprotobuf32", "libusb-1.0-0", "libzstd1")),
    ("bookworm", "arm64", ("mksh", "busybox-static")),
)


@dataclass(frozen=True)
class Pieces:
    """Where the programs are."""

    adb: Path
    """A client that finds its libraries by itself."""
    adbd: Path
    libraries: tuple[Path, ...]
    """Folders with the libraries of adbd."""
    shell: Path
    """aarch64, static: mksh, Android's own shell."""
    busybox: Path
    """aarch64, static."""
    qemu: Path


def find_or_fetch() -> Pieces:
    """The pieces, from the user's cache folder or the archive; raises like `fetch_packages`."""
    root = cache_root() / "phones" / f"pieces-{_KEY}"
    if not root.is_dir():
        with building(root) as folder, tempfile.TemporaryDirectory(prefix="mocovit-phone-") as name:
            for suite, architecture, packages in _PACKAGES:
                found = fetch_packages(
                    packages, suite=suite, architecture=architecture, into=Path(name), deadline_s=_FETCH_S
                )
                for package in found:
                    unpack_package(package, folder / architecture, deadline_s=_FETCH_S)
            _wrap_adb(folder)
    host, phone = root / "amd64", root / "arm64"
    return Pieces(
        adb=root / "adb",
        adbd=host / "usr/lib/android-sdk/platform-tools/adbd",
        libraries=tuple(host / folder for folder in _LIBRARIES),
        shell=phone / "usr/lib/aarch64-linux-musl/bin/mksh",
        busybox=phone / "bin/busybox",
        qemu=_qemu(),
    )


_LIBRARIES = ("usr/lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/android", "lib/x86_64-linux-gnu")


def _wrap_adb(folder: Path) -> None:
    """A script that starts adb with its libraries, wherever this folder ends up."""
    search = ":".join(f"$here/amd64/{library}" for library in _LIBRARIES)
    script = folder / "adb"
    script.write_text(
        f'#!/bin/sh\nhere=$(dirname "$(readlink -f "$0")")\nexport LD_LIBRARY_PATH="{search}"\n'
        'exec "$here/amd64/usr/lib/android-sdk/platform-tools/adb" "$@"\n'
    )
    script.chmod(0o755)


def _qemu() -> Path:
    """Any qemu that the emulated target would take, else Debian's own (63 MB, once)."""
    try:
        return find_qemu().path
    except MissingToolError:
        root = cache_root() / "phones" / "qemu-user-static"
        if not root.is_dir():
            with building(root) as folder, tempfile.TemporaryDirectory(prefix="mocovit-phone-") as name:
                (package,) = fetch_packages(
                    ["qemu-user-static"],
                    suite="bookworm",
                    architecture="amd64",
                    into=Path(name),
                    deadline_s=_FETCH_S,
                )
                unpack_package(package, Path(name) / "all", deadline_s=_FETCH_S)
                shutil.copy2(Path(name) / "all/usr/bin/qemu-aarch64-static", folder)
        return root / "qemu-aarch64-static"


def shared_objects(program: Path, libraries: tuple[Path, ...] = ()) -> tuple[Path, ...]:
    """The loader and the libraries a program of this machine needs, as `ldd` lists them; none if static."""
    done = subprocess.run(
        ["ldd", str(program)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, libraries))},
    )
    words = [word for line in done.stdout.splitlines() for word in line.split() if word.startswith("/")]
    return tuple(Path(word) for word in words if Path(word).is_file())
