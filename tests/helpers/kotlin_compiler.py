"""The real kotlinc of the npm package kotlin-compiler, against declarations of the classes that apps use."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

VERSION = "2.4.20"
DECLARATIONS = Path(__file__).parent / "android"
RUNNING = Path(__file__).parent / "android_running"
"""The same classes with bodies, as far as code for segmenters and detectors calls them."""


def missing_for_kotlin() -> str:
    """The program that is not installed, or nothing."""
    return next((name for name in ("npm", "java") if shutil.which(name) is None), "")


def compile_kotlin(sources: Sequence[Path], classes: Path, declarations: Path = DECLARATIONS) -> str:
    """Compile `sources` into the folder `classes`, all at once. Returns what the compiler said.

    It is installed into the cache the first time.
    """
    home, package = _home()
    if not package.exists():
        home.mkdir(parents=True, exist_ok=True)
        install = ["npm", "install", "--silent", "--prefix", str(home), f"kotlin-compiler@{VERSION}"]
        subprocess.run(install, check=True, timeout=280)
    assert (package / "lib" / "kotlin-compiler.jar").exists()
    command = [
        "bash",
        str(package / "bin" / "kotlinc"),
        *map(str, sources),
        *map(str, declarations.glob("*.kt")),
    ]
    done = subprocess.run([*command, "-d", str(classes)], capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, done.stderr
    return done.stderr


def run_kotlin(classes: Path, main: str, words: Sequence[str], properties: Sequence[str]) -> str:
    """What the class `main` of the folder `classes` prints; `properties` are NAME=VALUE."""
    library = _home()[1] / "lib" / "kotlin-stdlib.jar"
    set_ = [f"-D{one}" for one in properties]
    command = ["java", "-cp", f"{classes}{os.pathsep}{library}", *set_, main, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _home() -> tuple[Path, Path]:
    """The folder that the compiler is installed in, and its package there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = cache / "mocovit-deploy" / "kotlin"
    return home, home / "node_modules" / "kotlin-compiler"
