"""The emulator that counts: a qemu-aarch64 that loads plugins, and the counting plugin compiled for it.

Only counting needs it; running files works under any qemu. It is looked for in this order: in $MOCOVIT_QEMU,
in the user's cache folder (where `mocovit-bench emulator` builds it) and in the PATH. A qemu that loads no
plugins is skipped. Before an emulator is used, it must count a program of known instructions correctly.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.reports import counts, schema
from benchmarks.toolchain import qemu as emulator_build
from benchmarks.toolchain import qemu_check
from benchmarks.toolchain.cache import building, cache_root
from benchmarks.toolchain.qemu import Say
from mocovit_deploy.errors import DeployError, DeviceError, MissingToolError, UsageError
from mocovit_deploy.files import digest
from mocovit_deploy.untrusted.process import run_process

PLUGIN_SOURCES = Path(__file__).parents[1] / "native" / "counting"
QEMU_VARIABLE = "MOCOVIT_QEMU"
OLDEST_QEMU = (9, 1)
"""The first version with plugin interface 3: inline counters per processor, and copies of instructions."""

BUILD_DEADLINE_S = 1800.0
_COMPILE_S = 120.0
_CHECK_S = 30.0
_FLAGS = ("-std=c11", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror")
_ADDRESS_SPACE = "0x400000000"  # 16 GiB, reserved, not used


@dataclass(frozen=True)
class Emulator:
    """A qemu and a plugin that counted the known program correctly."""

    qemu: Path
    version: str
    plugin: Path
    plugin_digest: str
    """SHA-256 of the plugin's sources, so that machines with different compilers agree on it."""

    @property
    def identity(self) -> str:
        """The name of the emulator in reports."""
        return f"qemu {self.version}, counting plugin {self.plugin_digest[:12]}"

    def command(self, *, cpu: str, output: Path, hottest: int) -> list[str]:
        """The first words of a command line; append an AArch64 program and its arguments.

        Counts go to the file `output`, with the `hottest` blocks of each region. What could make two runs
        differ is fixed: addresses (`-R`), random numbers of the guest (`-seed`), and the environment,
        which is empty. The sizes of the environment and of the arguments move the stack, which changes a few
        instructions of a runtime. So the caller must keep the lengths of arguments the same.
        """
        plugin = ",".join(_escape(word) for word in (str(self.plugin), f"out={output}", f"hottest={hottest}"))
        return [
            "env",
            "-i",
            str(self.qemu),
            "-R",
            _ADDRESS_SPACE,
            "-seed",
            "1",
            "-cpu",
            cpu,
            "-plugin",
            plugin,
        ]


def find_emulator(*, deadline_s: float = BUILD_DEADLINE_S) -> Emulator:
    """An emulator that is ready for use. Compiles the plugin (a second) if its sources have changed.

    Raises `MissingToolError` if there is none, `DeployError` if it miscounts.
    """
    built, headers, own = _built(), _headers(), _own_qemu()
    if own is not None and headers is not None and (own.named or built is None):
        return _ready(own.path, own.version, headers, deadline_s)
    if built is not None:
        return _ready(built / "bin" / "qemu-aarch64", _recorded_version(built), built / "include", deadline_s)
    raise MissingToolError("counting needs an emulator that loads plugins; run: mocovit-bench emulator")


def find_or_build_emulator(*, say: Say, deadline_s: float = BUILD_DEADLINE_S) -> Emulator:
    """Like `find_emulator`, but downloads and builds missing parts; `say` gets a line for each step."""
    own = _own_qemu()
    if own is None and (named := os.environ.get(QEMU_VARIABLE)):
        oldest = ".".join(map(str, OLDEST_QEMU))
        say(f"{named} is not used: it cannot count, as it loads no plugins or is older than {oldest}")
    if own is None and _built() is None:
        emulator_build.build_qemu(_home("qemu"), deadline_s=deadline_s, say=say)
    elif own is not None and _headers() is None:
        say(f"using {own.path} (qemu {own.version}), which loads plugins")
        emulator_build.fetch_headers_only(_home("headers"), deadline_s=deadline_s, say=say)
    return find_emulator(deadline_s=deadline_s)


def self_check(emulator: Emulator) -> None:
    """Count the known program. Raises `DeployError` unless every number is right."""
    with tempfile.TemporaryDirectory(prefix="mocovit-check-") as name:
        program, output = Path(name) / "program", Path(name) / "counts.json"
        program.write_bytes(qemu_check.elf(qemu_check.PROGRAM))
        program.chmod(0o755)
        command = emulator.command(cpu="cortex-a76", output=output, hottest=0)
        done = run_process([*command, program], deadline_s=_CHECK_S)
        if not done.ok or not output.is_file():
            raise DeployError(f"{emulator.qemu} does not run the counting plugin: {done.reason()}")
        regions = counts.parse_plugin_output(schema.read_document(output), str(output)).regions
    if regions != (qemu_check.EXPECTED,):
        raise DeployError(
            f"{emulator.identity} miscounts a known program ({regions[0].instructions} instructions, not "
            f"{qemu_check.EXPECTED.instructions}); remove {cache_root() / 'emulator'}, then run: "
            "mocovit-bench emulator"
        )


def read_counts(output: Path) -> tuple[counts.Counts, ...]:
    """The marked regions of one run. Raises `DeviceError` if the program ended before they were written."""
    if not output.is_file():
        raise DeviceError(f"{output}: the emulated program left no counts")
    return counts.parse_plugin_output(schema.read_document(output), str(output)).regions


def plugin_digest(sources: Path) -> str:
    """The SHA-256 of the plugin's sources."""
    total = hashlib.sha256()
    for path in [*_plugin_parts(sources), *sorted(sources.glob("*.h")), sources.parent / "markers.h"]:
        total.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
    return total.hexdigest()


def compile_plugin(sources: Path, include: Path, output: Path, *, deadline_s: float) -> None:
    """Compile the plugin against the headers in `include`.

    Raises `DeployError` with the compiler's first error, `MissingToolError` without a C compiler.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise MissingToolError("the counting plugin needs a C compiler; run: apt-get install gcc")
    done = run_process(
        [
            compiler,
            *_FLAGS,
            "-isystem",
            include,
            "-isystem",
            include / "glib-2.0",
            "-o",
            output,
            *_plugin_parts(sources),
        ],
        deadline_s=min(deadline_s, _COMPILE_S),
    )
    if not done.ok:
        errors = [line for line in done.stderr.splitlines() if "error" in line]
        raise DeployError(f"the counting plugin does not compile: {(errors or [done.reason()])[0]}")


def _plugin_parts(sources: Path) -> list[Path]:
    return sorted(sources.glob("*.c"))


def _ready(qemu: Path, version: str, include: Path, deadline_s: float) -> Emulator:
    sources_digest = plugin_digest(PLUGIN_SOURCES)
    key = hashlib.sha256(
        f"{sources_digest} {digest(include / 'qemu-plugin.h')} {_FLAGS}".encode()
    ).hexdigest()
    folder = cache_root() / "emulator" / f"plugin-{key[:16]}"
    if not folder.is_dir():
        with building(folder) as unfinished:
            compile_plugin(PLUGIN_SOURCES, include, unfinished / "counting.so", deadline_s=deadline_s)
    emulator = Emulator(qemu, version, folder / "counting.so", sources_digest)
    self_check(emulator)
    return emulator


def _home(kind: str) -> Path:
    return cache_root() / "emulator" / f"{kind}-{emulator_build.recipe_key()}"


def _built() -> Path | None:
    home = _home("qemu")
    return home if (home / "emulator.json").is_file() else None


def _headers() -> Path | None:
    folders = (_home("qemu") / "include", _home("headers") / "include")
    return next((folder for folder in folders if folder.is_dir()), None)


def _recorded_version(home: Path) -> str:
    record: dict[str, Any] = json.loads((home / "emulator.json").read_text(encoding="utf-8"))
    if digest(home / "bin" / "qemu-aarch64") != record["sha256"]:
        raise UsageError(f"{home}: changed since it was built; remove it and run: mocovit-bench emulator")
    return str(record["qemu"])


@dataclass(frozen=True)
class _Own:
    path: Path
    version: str
    named: bool
    """True if $MOCOVIT_QEMU names it, false if it is in the PATH."""


def _own_qemu() -> _Own | None:
    """$MOCOVIT_QEMU, or qemu-aarch64 in the PATH, if it loads plugins and is new enough.

    Raises `UsageError` if $MOCOVIT_QEMU names no program.
    """
    named = os.environ.get(QEMU_VARIABLE)
    found = named or shutil.which("qemu-aarch64")
    if named and not os.access(named, os.X_OK):
        raise UsageError(f"{QEMU_VARIABLE}={named}: no such program; name a qemu-aarch64, or unset it")
    if not found or not Path(found).is_file():
        return None
    if "-plugin" not in run_process([found, "--help"], deadline_s=_CHECK_S).stdout:
        return None
    said = run_process([found, "--version"], deadline_s=_CHECK_S).stdout
    version = re.search(r"version ((\d+)\.(\d+)[.\d]*)", said)
    if version is None or (int(version[2]), int(version[3])) < OLDEST_QEMU:
        return None
    return _Own(Path(found), version[1], named is not None)


def _escape(word: str) -> str:
    """A value in qemu's option syntax, in which a comma is doubled."""
    return word.replace(",", ",,")
