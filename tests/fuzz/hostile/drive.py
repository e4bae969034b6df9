"""Run readers on hostile files, each in a process of its own, and say what became of it.

One server process for each reader imports what the reader needs; every case is a fork of it, with limits, in
a folder that holds the case alone. What it did is told over a pipe; a crash tells itself by its status.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import random
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hostile.arena import Arena
from hostile.commands import run_command
from hostile.mutate import mutated
from hostile.outcome import ALLOWED, SEVERAL_LINES, Outcome, Tally
from hostile.readers import Reader, Seed
from hostile.seeds import Files

from mocovit_deploy.untrusted.process import signal_name

TIME_S = 5.0
"""Of the processor. A case that sleeps, or waits for one, is stopped after `PATIENCE` times as long."""
PATIENCE = 6
MEMORY_BYTES = 1 << 30
GUARDED_MEMORY_BYTES = 3 << 30


def run_case(reader: Reader, arena: Arena, files: Files, time_s: float = TIME_S) -> Outcome:
    """Fork, read the case there, and say what happened."""
    arena.lay(files)
    told, tell = os.pipe()
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        os.close(told)
        _in_child(reader, arena, tell, time_s)
    os.close(tell)
    text, in_time = _listen(told, start + PATIENCE * time_s)
    os.close(told)
    if not in_time:
        os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    seconds = usage.ru_utime + usage.ru_stime
    first, _, text = text.partition("\n")
    memory = max(usage.ru_maxrss * 1024 - int(first or 0), 0)
    kind, detail = _judged(reader, text, status, in_time=in_time, memory=memory)
    if problem := arena.problem(files):
        kind, detail = "violation", problem
    return Outcome(kind, detail, seconds, memory)


def _judged(reader: Reader, text: str, status: int, *, in_time: bool, memory: int) -> tuple[str, str]:
    contained = "contained" if reader.guarded else "violation"
    if not in_time or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU):
        return contained, "time: more than it was given"
    if os.WIFSIGNALED(status) and not text:
        return contained, f"signal: {signal_name(os.WTERMSIG(status))}"
    if not text:
        return contained, f"signal: ended with status {os.waitstatus_to_exitcode(status)}"
    found = json.loads(text)
    if found["kind"] == "memory":
        return contained, "memory: the limit was reached"
    if memory > (GUARDED_MEMORY_BYTES if reader.guarded else MEMORY_BYTES):
        return "violation", "memory: more than the limit"
    return found["kind"], found["detail"]


def _in_child(reader: Reader, arena: Arena, tell: int, time_s: float) -> None:
    os.write(tell, b"%d\n" % _resident_bytes())
    os.chdir(arena.case)
    silence = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(silence, descriptor)
    os.environ["TMPDIR"] = str(arena.scratch)
    memory = GUARDED_MEMORY_BYTES if reader.guarded else MEMORY_BYTES
    for kind, value in (
        (resource.RLIMIT_DATA, memory + _data_bytes()),
        (resource.RLIMIT_CPU, max(int(time_s), 1)),
        (resource.RLIMIT_FSIZE, 1 << 28),
        (resource.RLIMIT_CORE, 0),
    ):
        # One more above: at the hard limit of processor time Linux kills, with nothing to tell it by.
        resource.setrlimit(kind, (value, value + 1))
    kind, detail = _read(reader, arena.case)
    os.write(tell, json.dumps({"kind": kind, "detail": detail[:1000]}).encode())
    os._exit(0)


def _read(reader: Reader, folder: Path) -> tuple[str, str]:
    from mocovit_deploy.errors import DeployError

    try:
        reader.read(folder)
    except DeployError as error:
        return _judge_error(error)
    except MemoryError:
        return "memory", ""
    except BaseException as error:  # noqa: BLE001 - this is what is looked for
        frames = traceback.extract_tb(error.__traceback__)
        ours = [f"{Path(f.filename).name}:{f.name}" for f in frames if "site-packages" not in f.filename]
        return (
            "violation",
            f"exception: {type(error).__name__}: {str(error)[:200]} @ {type(error).__name__} {ours[-1:]}",
        )
    return "accepted", ""


def _judge_error(error: Any) -> tuple[str, str]:
    if isinstance(error.__cause__, MemoryError):
        return "memory", ""
    if error.exit_status not in ALLOWED:
        return "violation", f"status: {error.exit_status} {str(error)[:200]}"
    text = str(error)
    lines = text.splitlines() if SEVERAL_LINES in text else [text]
    # The commands escape what does not print; a newline of the file's they cannot tell from one of ours.
    if any("\n" in line or "\r" in line for line in lines):
        return "violation", f"unprintable: {text[:300]!r}"
    return "clean", f"{error.exit_status} {text[:200]}"


def _listen(told: int, until: float) -> tuple[str, bool]:
    """What the child says, and whether it came to its end in time."""
    heard = b""
    while True:
        left = until - time.perf_counter()
        if left <= 0 or not select.select([told], [], [], left)[0]:
            return heard.decode(), False
        piece = os.read(told, 1 << 16)
        if not piece:
            return heard.decode(), True
        heard += piece


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def _data_bytes() -> int:
    line = next(one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmData"))
    return int(line.split()[1]) * 1024


def cases(reader: Reader, found: list[Seed], seed: int) -> Iterator[tuple[str, Files, Files]]:
    """(what was done, the case, what it was made of): valid files, crafted ones, then damage for ever."""
    for one in found:
        yield "valid", one.files, one.files
    for what, files in reader.crafted(found):
        done = dict(files)
        with contextlib.suppress(ValueError, KeyError, AttributeError, TypeError, RecursionError):
            reader.repair(done)
        yield f"crafted: {what}", done, files
    rng = random.Random(f"{reader.name} {seed}")
    while True:
        one = rng.choice(found)
        victim = rng.choice(one.victims)
        data, how = mutated(rng, one.files[victim], reader.mutations)
        files = {**one.files, victim: data}
        reader.repair(files)
        yield f"{victim}: {how}", files, one.files


def smaller(
    reader: Reader, arena: Arena, files: Files, original: Files, signature: str, tries: int = 80
) -> Files:
    """The same problem from a file that differs less from the valid one, or is shorter."""
    best = dict(files)

    def shows(candidate: Files) -> bool:
        return run_case(reader, arena, candidate).signature == signature

    for name in [name for name, data in files.items() if original.get(name) != data]:
        before, size = original.get(name, b""), 1 << 16
        while size and tries > 0:
            for at in range(0, len(best[name]), size):
                if tries <= 0:
                    break
                data = best[name]
                changed = (
                    data[:at] + before[at : at + size] + data[at + size :]
                    if len(data) == len(before)
                    else data[:at] + data[at + size :]
                )
                if changed == data:
                    continue
                tries -= 1
                if shows({**best, name: changed}):
                    best[name] = changed
            size //= 4
    return best


def campaign(
    reader: Reader,
    root: Path,
    *,
    seed: int,
    until: Callable[[int], bool],
    keep: Path | None,
    say: Callable[[str], None] = lambda _line: None,
    talk: bool = False,
    time_s: float = TIME_S,
    commands: int = 0,
) -> Tally:
    """Try cases while `until(number of cases)` is false; violations are made smaller and kept in `keep`.

    Every so many `commands`, a case is given to the real command too (0: never).
    """
    for module in reader.modules:
        importlib.import_module(module)
    arena = Arena(root)
    found = list(reader.seeds())
    tally = Tally()
    for what, files, original in cases(reader, found, seed):
        if until(tally.inputs):
            break
        outcome = run_case(reader, arena, files, time_s)
        if talk and (what == "valid" or what.startswith("crafted")):
            say(f"{reader.name}: {what}: {outcome.kind} {outcome.detail} ({outcome.seconds:.2f} s)")
        known = outcome.signature in tally.violations or outcome.signature in tally.contained
        if commands and reader.command and tally.inputs % commands == 0 and outcome.kind != "violation":
            seen = run_command(reader, arena, files)
            tally.commands += 1
            outcome = seen if seen.kind == "violation" else outcome
        tally.add(outcome)
        if what == "valid" and outcome.kind != "accepted":
            raise AssertionError(f"{reader.name}: a valid file gives {outcome}")
        if outcome.kind in ("violation", "contained") and not known:
            say(f"{reader.name}: {outcome.kind}: {what}: {outcome.detail}")
            if keep is not None:
                quick = outcome.kind == "violation" and not outcome.detail.startswith("time")
                signature = outcome.signature
                least = smaller(reader, arena, files, original, signature) if quick else files
                _keep(keep / f"{reader.name}-{outcome.kind}-{tally.inputs}", least, what, outcome)
    return tally


def _keep(folder: Path, files: Files, what: str, outcome: Outcome) -> None:
    for name, data in files.items():
        path = folder / "case" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (folder / "why.json").write_text(json.dumps({"what": what, **vars(outcome)}, indent=2))


def say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
