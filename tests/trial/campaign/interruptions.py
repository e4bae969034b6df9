"""Part 3: commands cut short at random moments, and what is left of them.

What must hold afterwards:

    status    130 of SIGINT and 143 of SIGTERM, or the status of a command that was faster; never 1
    words     at most one line of error, no traceback, no internal error
    triples   a file, its golden file and its manifest are all there and agree by digest, or all absent;
              where an older export stood, they are wholly the old ones or wholly the new ones
    traces    nothing hidden in the output folder, nothing in the folder of temporary files, no process;
              what SIGKILL or a hang-up leaves in the output folder is gone after the next export
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from campaign.aftermath import (
    MARKER,
    SIGNALS,
    UNHEARD,
    Hit,
    alive,
    json_wrong,
    status_wrong,
    triples_wrong,
    words_wrong,
)
from campaign.process import command, forked
from campaign.rows import ROOT, Row

TIME_S = 120.0
"""For a command to end after it was hit."""
ENTRY = """\
import os, sys
from {module} import {function}
os.write({ready}, b"x")
sys.exit({function}())
"""
"""The console script of a command, which also tells when it begins."""
MODEL = str(ROOT / "tests/helpers/tiny_networks.py") + ":tiny"
EXPORT = ("--model", MODEL, "--image-size", "32", "--output-dir", "out")


@dataclass(frozen=True)
class Command:
    program: str
    module: str
    function: str
    words: tuple[str, ...]
    older: bool = False
    """The files of an older export, of another network, stand in the output folder."""


def _export(*words: str, older: bool = False) -> Command:
    return Command("mocovit-export", "mocovit_deploy.cli.main", "export_main", (*EXPORT, *words), older)


def _parity(*words: str) -> Command:
    return Command("mocovit-parity", "mocovit_deploy.cli.main", "parity_main", words, older=True)


FILES = ("out/tiny_32_fp32.onnx", "out/tiny_32_fp32.mlpackage")
COMMANDS = {
    "export": _export("--format", "onnx,coreml"),
    "export over an older one": _export("--format", "onnx,coreml", older=True),
    "export over an older one, as JSON": _export("--format", "coreml,onnx", "--json", older=True),
    "export of TFLite": _export("--format", "tflite"),
    "parity": _parity(*FILES),
    "parity as JSON": _parity(*FILES, "--json"),
    "parity with --bisect": _parity(FILES[0], "--bisect"),
    "bench": Command(
        "mocovit-bench",
        "benchmarks.cli.main",
        "main",
        ("run", FILES[0], "--target", "host", "--runs", "3", "--min-s", "0.3", "--output", "report.json"),
        older=True,
    ),
}
BLOWS = (
    "SIGINT",
    "SIGINT to all",
    "SIGTERM",
    "SIGTERM to all",
    "SIGKILL",
    "closed stdout",
    "closed stderr",
    "file size limit",
    "full disk",
    "hang-up",
)


NAMING = 2.0
"""Instead of a share of time: while files take their names, which is over in milliseconds."""


def cases(seed: int, count: int, without: Container[str] = ()) -> Iterator[tuple[str, str, str, float]]:
    """(key, command, blow, when it falls as a share of the command's time, or `NAMING` and above)."""
    names = [name for name in COMMANDS for _ in range(3 if name.startswith("export over") else 1)]
    for number in range(seed, seed + count):
        draw = Random(f"interruption {number}")
        name = draw.choice([name for name in names if name not in without])
        blow, share = draw.choice(BLOWS), 1.05 * draw.random()
        if name.startswith("export") and blow in SIGNALS and draw.random() < 0.4:
            share = NAMING + draw.random()
        yield f"{number:04d}", name, blow, share


class Stage:
    """What all interruptions share: an older export to stand in the way, and how long commands take."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.older = root / "older"
        self.seconds: dict[str, float] = {}
        shutil.rmtree(root, ignore_errors=True)
        self.older.mkdir(parents=True)
        words = (*EXPORT, "--model-arg", "classes=7", "--format", "onnx,coreml")
        done = forked(command("mocovit-export", words), self.older, 600)
        if done.status:
            raise RuntimeError(f"the trial cannot export what it interrupts: {done.stderr[-500:]}")

    def tried(self, name: str, blow: str, share: float) -> Row:
        """Run a command, let the blow fall, and look at what is left."""
        if name not in self.seconds:
            with self._ground(COMMANDS[name], full=False) as (folder, scratch):
                hit = _hit(COMMANDS[name], folder, scratch, "", 0.0)
                if hit.status:
                    what = f"undisturbed, it ends with {hit.status}: {hit.stderr[-300:]}"
                    return {"command": name, "blow": blow, "wrong": [what]}
                self.seconds[name] = hit.seconds
        at_s = share * self.seconds[name] if share < NAMING else -(share - NAMING) / 50
        with self._ground(COMMANDS[name], full=blow == "full disk") as (folder, scratch):
            hit = _hit(COMMANDS[name], folder, scratch, blow, at_s)
            wrong = _wrong(COMMANDS[name], blow, hit, folder, scratch)
            wrong += self._swept(folder) if blow in UNHEARD else []
        return {
            "command": name,
            "blow": blow,
            "at_s": round(at_s, 3),
            "status": hit.status,
            "stderr": hit.stderr[-400:],
            "wrong": wrong,
        }

    @contextlib.contextmanager
    def _ground(self, what: Command, *, full: bool) -> Iterator[tuple[Path, Path]]:
        folder = Path(tempfile.mkdtemp(prefix="case-", dir=self.root))
        scratch = folder / "tmp"
        scratch.mkdir()
        small = folder / "out"
        small.mkdir()
        mounted = full and _mount(small)
        try:
            if what.older:
                shutil.copytree(self.older / "out", small, dirs_exist_ok=True)
            if full and not mounted:
                raise OSError("no small disk can be mounted here; run as root, or leave full disks out")
            if full:
                _fill(small, Random(folder.name).randrange(4096, 120_000))
            yield folder, scratch
        finally:
            if mounted:
                subprocess.run(["umount", "-l", str(small)])  # noqa: S607
            shutil.rmtree(folder, ignore_errors=True)

    def _swept(self, folder: Path) -> list[str]:
        """After SIGKILL: what is left in the output folder goes with the next export."""
        if not list((folder / "out").glob(".mocovit*")):
            return []
        words = (*EXPORT, "--format", "onnx", "--no-simplify")
        done = forked(command("mocovit-export", words), folder, 600)
        left = [path.name for path in (folder / "out").glob(".*")]
        if done.status:
            return [f"the next export ends with {done.status}: {done.stderr[-200:]}"]
        return [f"left after the next export: {', '.join(left)}"] if left else []


def _mount(folder: Path) -> bool:
    argv = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)]
    try:
        return subprocess.run(argv, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def _fill(folder: Path, leave_bytes: int) -> None:
    """Leave so much of a small disk free."""
    free = os.statvfs(folder)
    (folder / "ballast").write_bytes(bytes(max(0, free.f_bavail * free.f_bsize - leave_bytes)))


def _hit(what: Command, folder: Path, scratch: Path, blow: str, at_s: float) -> Hit:
    """Start a command, wait until it has begun, let the blow fall after `at_s`, and wait for its end.

    A time below zero is counted from when the first file is ready to take its name.
    """
    marker = f"{os.getpid()}-{folder.name}"
    hear, tell = os.pipe()
    os.set_inheritable(tell, True)
    environment = {**os.environ, MARKER: marker, "TMPDIR": str(scratch), "PYTHONWARNINGS": "ignore"}
    limit = int(Random(folder.name).choice((0, 1 << 10, 1 << 14, 1 << 16)))

    def prepare() -> None:
        if blow == "file size limit":
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    code = ENTRY.format(module=what.module, function=what.function, ready=tell)
    with (folder / ".stdout").open("wb") as out, (folder / ".stderr").open("wb") as err:
        pipes = {
            "stdout": subprocess.PIPE if blow == "closed stdout" else out,
            "stderr": subprocess.PIPE if blow == "closed stderr" else err,
        }
        if blow == "file size limit":
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(
            [sys.executable, "-c", code, *what.words],
            cwd=folder,
            env=environment,
            start_new_session=True,
            pass_fds=(tell,),
            preexec_fn=prepare,  # noqa: PLW1509 - this process has no threads of its own
            **pipes,  # type: ignore[call-overload]
        )
        os.close(tell)
        os.read(hear, 1)
        os.close(hear)
        start = time.monotonic()
        told, said = _fall(process, blow, at_s, folder)
        try:
            process.wait(TIME_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return Hit(-99, "", f"did not end within {TIME_S:.0f} s", TIME_S, marker)
    stdout = told or (folder / ".stdout").read_text(errors="replace")
    stderr = said or (folder / ".stderr").read_text(errors="replace")
    return Hit(process.returncode, stdout, stderr, time.monotonic() - start, marker)


def _fall(process: subprocess.Popen[bytes], blow: str, at_s: float, folder: Path) -> tuple[str, str]:
    """Let the blow fall; what the command said is returned where it was read here."""
    if blow == "closed stdout" and process.stdout is not None:
        process.stdout.close()
    elif blow == "closed stderr" and process.stderr is not None:
        process.stderr.close()
    elif blow == "file size limit":
        out, err = process.communicate()
        return out.decode(errors="replace"), err.decode(errors="replace")
    elif blow in SIGNALS:
        if at_s < 0:
            _wait_for_naming(process, folder)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(abs(at_s))
        if process.returncode is None:
            send = os.killpg if blow.endswith("to all") else os.kill
            with contextlib.suppress(ProcessLookupError):
                send(process.pid, SIGNALS[blow])
    return "", ""


def _wait_for_naming(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Until a manifest, the last of the files that are published together, lies in the staging folder."""
    until = time.monotonic() + TIME_S
    while process.poll() is None and time.monotonic() < until:
        if any((folder / "out").glob(".mocovit*/*.json")):
            return
        time.sleep(0.001)


def _wrong(what: Command, blow: str, hit: Hit, folder: Path, scratch: Path) -> list[str]:
    """What does not hold after a blow."""
    wrong = [*status_wrong(blow, hit), *words_wrong(what.program, hit), *triples_wrong(folder / "out")]
    hidden = [path.name for path in (folder / "out").glob(".*")]
    if hidden and blow not in UNHEARD:
        wrong.append(f"hidden in the output folder: {', '.join(hidden)}")
    left = [path.name for path in scratch.iterdir()]
    if left and blow not in UNHEARD:
        wrong.append(f"left among temporary files: {', '.join(left[:3])}")
    if running := alive(hit.marker):
        wrong.append(f"still running: {', '.join(running)}")
    if "--json" in what.words and blow in ("file size limit", "full disk"):
        wrong += json_wrong(hit)
    return wrong
