"""Compiling the native bench for this machine, or for aarch64 with the C compiler of zig.

The compiler for aarch64 has 411 MB, so it is not a dependency: it is installed into the user's cache folder
when it is first needed.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.toolchain.cache import building, cache_root
from benchmarks.toolchain.lock import Compiler, Lock
from benchmarks.toolchain.wheels import install_tool
from mocovit_deploy.errors import DeployError, StableDeviceError
from mocovit_deploy.untrusted.process import run_process

SOURCES = Path(__file__).parents[1] / "native"
BENCH_PARTS = (
    "bench.c",
    "options.c",
    "support.c",
    "json.c",
    "runtime_litert.c",
    "runtime_tflite.c",
    "runtime_onnxruntime.c",
)
HEADERS = ("bench.h", "markers.h")
CLOCK = "counting_clock.c"

_STRICT = ("-std=c17", "-O2", "-g0", "-s", "-Wall", "-Wextra", "-Werror")
_PROGRAM = (*_STRICT, "-fPIE", "-pie")  # Android's loader and the bundle's need position-independent programs
_SHARED = (*_STRICT, "-fPIC", "-shared")
_COMPILE_S = 300.0


def sources_digest() -> str:
    """The SHA-256 of all sources and compiler options."""
    total = hashlib.sha256(repr((_PROGRAM, _SHARED)).encode())
    for name in (*BENCH_PARTS, *HEADERS, CLOCK):
        total.update(f"{name}\0".encode() + (SOURCES / name).read_bytes() + b"\0")
    return total.hexdigest()


def host_bench(lock: Lock, *, deadline_s: float) -> Path:
    """The bench for this machine, compiled at the first use by the system's cc, or else by zig.

    Raises `StableDeviceError` on any system but Linux, and the errors of `compile_bench` and `zig_cc`.
    """
    if not sys.platform.startswith("linux"):
        raise StableDeviceError(f"the host target needs Linux, this is {sys.platform}; use another target")
    system = shutil.which("cc")
    name = f"host-bench-{'cc' if system else 'zig'}-{sources_digest()[:16]}"
    final = cache_root() / "native" / name
    if not (final / "bench").is_file():
        compiler = [system] if system else zig_cc(lock.compiler, target=None, deadline_s=deadline_s)
        with building(final) as folder:
            compile_bench(compiler, folder / "bench", deadline_s=deadline_s)
    return final / "bench"


def zig_cc(compiler: Compiler, *, target: str | None, deadline_s: float) -> list[str]:
    """The first words of a command of zig's C compiler, which is installed first if it is absent.

    `target` is zig's name of the machine to compile for; None for this one. Raises like `install_tool`.
    """
    folder = cache_root() / "tools" / f"{compiler.package}-{compiler.version}"
    install_tool(compiler, folder, deadline_s=deadline_s)
    program = folder / compiler.package / "zig"
    return [str(program), "cc", *(["-target", target] if target else [])]


def compile_bench(compiler: Sequence[str], output: Path, *, deadline_s: float) -> None:
    """Compile the bench with `compiler`. Raises `DeployError` with the compiler's first error if it fails."""
    parts = [SOURCES / part for part in BENCH_PARTS]
    _compile(
        [*compiler, *_PROGRAM, "-o", str(output), *map(str, parts), "-ldl", "-lm"], deadline_s=deadline_s
    )


def compile_clock(compiler: Sequence[str], output: Path, *, deadline_s: float) -> None:
    """Compile the counting clock (native/counting_clock.c), which is preloaded only under emulation."""
    _compile([*compiler, *_SHARED, "-o", str(output), str(SOURCES / CLOCK)], deadline_s=deadline_s)


def _compile(command: Sequence[str], *, deadline_s: float) -> None:
    zig_cache = str(cache_root() / "tools" / "zig-cache")
    done = run_process(
        command,
        deadline_s=min(deadline_s, _COMPILE_S),
        environment={"ZIG_GLOBAL_CACHE_DIR": zig_cache, "ZIG_LOCAL_CACHE_DIR": zig_cache},
    )
    if not done.ok:
        lines = [line for line in done.stderr.splitlines() if "error" in line.lower()]
        raise DeployError(
            f"the native bench does not compile with {command[0]}: {(lines or [done.reason()])[0]}"
        )
