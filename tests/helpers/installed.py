"""A wheel or an sdist as a user gets it: installed into an empty environment, and its commands run there.

    python tests/helpers/installed.py FILE                       the core alone, which needs numpy
    python tests/helpers/installed.py FILE --extras onnx,tflite  and exports to these formats

The Python that runs this is the one that is tried. Nothing of the checkout is imported but by the tests.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

COMMANDS = ("mocovit-export", "mocovit-parity", "mocovit-bench")
TINY = Path(__file__).parents[1] / "benchmarks" / "models" / "tiny.onnx"
SMALL = ("--model", "mocovit_0_5", "--image-size", "64", "--num-classes", "10")
DEADLINE_S = 1800


class NotAsPromisedError(Exception):
    """A command of the installed package ended otherwise than it must."""


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--extras", default="", help="formats to install and export to: onnx,tflite,coreml")
    given = parser.parse_args(words)
    extras = tuple(filter(None, given.extras.split(",")))
    with tempfile.TemporaryDirectory() as folder:
        programs = install(given.file, Path(folder), extras)
        for line in tried(programs, Path(folder), extras):
            sys.stdout.write(f"{line}\n")
    return 0


def install(file: Path, folder: Path, extras: Sequence[str]) -> Path:
    """Make an environment with nothing but `file` and what that asks for; return its folder of programs."""
    environment = folder / "environment"
    venv.create(environment, with_pip=True)
    programs = environment / "bin"
    named = f"{file.resolve()}[{','.join(extras)}]" if extras else str(file.resolve())
    command = [
        str(programs / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        named,
    ]
    subprocess.run(command, check=True, timeout=DEADLINE_S, env=_environment())
    return programs


def tried(programs: Path, folder: Path, extras: Sequence[str]) -> list[str]:
    """Run every command; a line for each that did as promised, `NotAsPromisedError` for one that did not."""
    python = ".".join(map(str, sys.version_info[:3]))
    said = []
    for command in COMMANDS:
        for word in ("--version", "--help"):
            done = _run([programs / command, word], folder, 0)
            if not done.stdout.startswith((f"{command} ", f"usage: {command}")):
                raise NotAsPromisedError(f"{command} {word} printed {done.stdout[:80]!r}")
        said.append(f"Python {python}: {done_said(programs, command, folder)}")
    if not extras:
        refused = _run([programs / "mocovit-export"], folder, 8).stderr.strip().splitlines()[-1]
        return [*said, refused, _run([programs / "mocovit-parity", TINY], folder, 8).stderr.strip()]
    output = folder / "files"
    words = (*SMALL, "--format", ",".join(extras), "--output-dir", str(output))
    said.append(_run([programs / "mocovit-export", *words], folder, 0).stdout)
    files = [path for path in sorted(output.iterdir()) if path.suffix in (".onnx", ".tflite", ".mlpackage")]
    if len(files) != len(extras):
        raise NotAsPromisedError(f"{len(files)} files of {len(extras)} formats in {output}")
    return [*said, _run([programs / "mocovit-parity", *files], folder, 0).stdout]


def done_said(programs: Path, command: str, folder: Path) -> str:
    """What a command calls itself."""
    return _run([programs / command, "--version"], folder, 0).stdout.strip()


def _run(command: Sequence[Path | str], folder: Path, status: int) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        cwd=folder,
        env=_environment(),
        timeout=DEADLINE_S,
    )
    if done.returncode != status or "Traceback" in done.stderr:
        words = " ".join(map(str, command))
        raise NotAsPromisedError(
            f"{words} ended with {done.returncode}, not {status}\n{done.stdout}{done.stderr}"
        )
    return done


def _environment() -> Mapping[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


if __name__ == "__main__":
    sys.exit(main())
