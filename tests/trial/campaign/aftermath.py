"""What is left of a command that was cut short, and what of it must not be."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mocovit_deploy.artifacts.install import finish_all
from mocovit_deploy.files import digest

MARKER = "MOCOVIT_TRIAL"
"""In the environment of a command and of all that it starts."""
SUFFIXES = (".onnx", ".mlpackage", ".tflite")
SIGNALS = {"SIGINT": 2, "SIGINT to all": 2, "SIGTERM": 15, "SIGTERM to all": 15, "SIGKILL": 9, "hang-up": 1}
UNHEARD = ("SIGKILL", "hang-up")
"""Blows that no program hears, or that this one leaves to the system."""
EXPECTED = {2: (130,), 15: (143,), 9: (-9,), 1: (-1, 129)}


@dataclass(frozen=True)
class Hit:
    status: int
    stdout: str
    stderr: str
    seconds: float
    marker: str


def status_wrong(blow: str, hit: Hit) -> list[str]:
    if hit.status == -99:
        return [hit.stderr]
    if blow in SIGNALS and hit.status not in (0, *EXPECTED[SIGNALS[blow]]):
        return [f"status {hit.status} after {blow}"]
    if blow not in SIGNALS and (hit.status < 0 or hit.status in (1, 120)):
        return [f"status {hit.status} after {blow}"]
    return []


def words_wrong(program: str, hit: Hit) -> list[str]:
    words = ("Traceback", "internal error", "Exception ignored")
    wrong = [f"says {word}: {hit.stderr.strip()[-300:]}" for word in words if word in hit.stderr]
    errors = [line for line in hit.stderr.splitlines() if line.startswith(f"{program}: ")]
    if len(errors) > 1:
        wrong.append(f"{len(errors)} lines of error: {errors[0]} | {errors[1]}"[:300])
    return wrong


def json_wrong(hit: Hit) -> list[str]:
    try:
        json.loads(hit.stdout)
    except ValueError:
        return [f"--json prints no document: {hit.stdout[:100]!r}"]
    return []


def triples_wrong(folder: Path) -> list[str]:
    """Half states in an output folder: files, golden files and manifests that do not belong together.

    An installation that was cut short is completed first, as every reader and the next export do.
    """
    wrong = []
    for place in (folder, folder / "rejected"):
        finish_all(place)
        names = {path.name for path in place.glob("*") if not path.name.startswith(".")} - {
            "rejected",
            "ballast",
        }
        files = {name for name in names if name.endswith(SUFFIXES)}
        files |= {name.removesuffix(".golden.npz") for name in names if name.endswith(".golden.npz")}
        files |= {name.removesuffix(".json") for name in names if name.endswith(".json")}
        for name in sorted(files):
            parts = [place / name, place / f"{name}.golden.npz", place / f"{name}.json"]
            missing = [part.name for part in parts if not part.exists()]
            wrong += [f"half state: {', '.join(missing)} missing"] if missing else _disagreement(parts)
    return wrong


def _disagreement(parts: list[Path]) -> list[str]:
    try:
        manifest: dict[str, Any] = json.loads(parts[2].read_text())
    except ValueError:
        return [f"half state: {parts[2].name} is no JSON"]
    wrong = []
    for part, key in zip(parts, ("sha256", "golden_sha256"), strict=False):
        if digest(part) != manifest[key]:
            wrong.append(f"half state: {part.name} is not the one of its manifest")
    return wrong


def alive(marker: str, patience_s: float = 5.0) -> list[str]:
    """Processes that bear the marker in their environment and do not end; they are ended here."""
    until, pause = time.monotonic() + patience_s, 0.05
    while (found := _bearing(marker)) and time.monotonic() < until:
        time.sleep(pause)
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    return list(found.values())


def _bearing(marker: str) -> dict[str, str]:
    found = {}
    wanted = f"{MARKER}={marker}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0") and int(entry.name) != os.getpid():
                found[entry.name] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:80]
    return found
