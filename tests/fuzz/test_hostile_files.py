"""A short run of the fuzzer over every reader, and proof that it finds what it looks for."""

from __future__ import annotations

import dataclasses
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hostile import mutate
from hostile.arena import Arena
from hostile.drive import campaign, run_case, smaller
from hostile.readers import READERS, Reader, Seed, named

from mocovit_deploy.errors import DeployError, UsageError

ROOT = Path(__file__).parents[2]
GROUPS = {
    "manifest,golden,toml,report,benchmark_model,operators": 45,
    "onnx,tflite,bench": 45,
    "mlpackage,pickle,safetensors,program": 15,
}
"""Readers, and how many hostile files each gets in the short run: a checkpoint takes longest to read."""


@pytest.mark.parametrize(("group", "inputs"), GROUPS.items(), ids=list(GROUPS))
def test_no_reader_breaks_a_rule(group, inputs, tmp_path):
    words = ["--inputs", str(inputs), "--only", group, "--time-s", "2", "--keep", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "hostile", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests/fuzz"), "OMP_NUM_THREADS": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == 2 + len(group.split(","))


def test_every_reader_is_in_the_short_run():
    assert {name for group in GROUPS for name in group.split(",")} == {reader.name for reader in READERS}


def planted(read, *, guarded=False):
    """A reader with a defect that shows on any file but the valid one."""

    def reading(folder):
        if (folder / "seed.bin").read_bytes() != b"valid":
            read(folder)

    return Reader(
        "planted",
        "",
        lambda: [Seed({"seed.bin": b"valid"}, ("seed.bin",))],
        mutate.BINARY,
        reading,
        lambda _seeds: (),
        guarded=guarded,
    )


def hang(_folder):
    while True:
        pass


def sleep(_folder):
    time.sleep(60)


def crash(_folder):
    os.abort()


def leave(_folder):
    os._exit(3)


def write_outside(folder):
    (folder.parent / "escaped").write_text("x")


def write_inside(folder):
    (folder / "left").write_text("x")


def run_code(folder):
    (folder.parent / "CANARY").write_text("x")


def bare_exception(_folder):
    raise KeyError("x")


def internal_error(_folder):
    raise DeployError("exit status 1")


def slower_than_the_bar(_folder):
    error = UsageError("this status means something else")
    error.exit_status = 6
    raise error


def two_lines(_folder):
    raise UsageError("a name\nmocovit-parity: pass")


def memory(_folder):
    bytearray(5 << 30)


@pytest.mark.parametrize(
    ("read", "found"),
    [
        (hang, "time"),
        (crash, "signal"),
        (leave, "signal"),
        (write_outside, "outside"),
        (write_inside, "outside"),
        (run_code, "code"),
        (bare_exception, "exception"),
        (internal_error, "status"),
        (slower_than_the_bar, "status"),
        (two_lines, "unprintable"),
        (memory, "memory"),
    ],
)
def test_a_planted_violation_is_found_and_kept(read, found, tmp_path):
    reader = planted(read)
    tally = campaign(
        reader, tmp_path / "arena", seed=0, until=lambda n: n >= 4, keep=tmp_path / "kept", time_s=0.3
    )
    assert [name.partition(": ")[2].split(":")[0].split()[0] for name in tally.violations]
    kept = list((tmp_path / "kept").glob("planted-violation-*"))
    assert kept
    assert found in (kept[0] / "why.json").read_text()
    assert (kept[0] / "case" / "seed.bin").exists()
    assert not tally.contained


def test_a_reader_that_sleeps_is_stopped_by_the_clock(tmp_path):
    start = time.monotonic()
    outcome = run_case(planted(sleep), Arena(tmp_path), {"seed.bin": b"x"}, time_s=0.1)
    assert (outcome.kind, outcome.detail.split(":")[0]) == ("violation", "time")
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("read", [hang, crash, memory])
def test_what_a_guarded_child_contains_is_no_violation(read, tmp_path):
    outcome = run_case(planted(read, guarded=True), Arena(tmp_path), {"seed.bin": b"x"}, time_s=0.3)
    assert outcome.kind == "contained"


@pytest.mark.parametrize("read", [write_outside, run_code, bare_exception, internal_error])
def test_a_guarded_child_excuses_nothing_else(read, tmp_path):
    assert run_case(planted(read, guarded=True), Arena(tmp_path), {"seed.bin": b"x"}).kind == "violation"


def test_clean_errors_and_valid_files(tmp_path):
    def refuse(_folder):
        raise UsageError("seed.bin: damaged")

    arena = Arena(tmp_path)
    assert run_case(planted(refuse), arena, {"seed.bin": b"x"}).kind == "clean"
    assert run_case(planted(refuse), arena, {"seed.bin": b"valid"}).kind == "accepted"


def test_a_reader_that_refuses_valid_files_is_not_tested_silently(tmp_path):
    def refuse(_folder):
        raise UsageError("no")

    broken = dataclasses.replace(planted(hang), read=refuse)
    with pytest.raises(AssertionError, match="a valid file"):
        campaign(broken, tmp_path, seed=0, until=lambda n: n >= 4, keep=None)


def test_a_reproducer_is_made_smaller(tmp_path):
    def needs_an_x(folder):
        if b"x" in (folder / "seed.bin").read_bytes():
            raise KeyError("x")

    reader, arena = planted(needs_an_x), Arena(tmp_path)
    files = {"seed.bin": b"y" * 40 + b"x" + b"y" * 40}
    signature = run_case(reader, arena, files).signature
    least = smaller(reader, arena, files, {"seed.bin": b"valid"}, signature)
    assert b"x" in least["seed.bin"]
    assert len(least["seed.bin"]) < 10


@pytest.mark.parametrize("reader", ["manifest", "golden", "tflite", "report", "toml"])
def test_the_same_seed_makes_the_same_files(reader):
    chosen = named(reader)
    (first, *_), rng = chosen.seeds(), (random.Random(7), random.Random(7))
    data = first.files[first.victims[0]]
    made = [[mutate.mutated(one, data, chosen.mutations) for _ in range(20)] for one in rng]
    assert made[0] == made[1]
    assert len({data for data, _ in made[0]}) > 10
