"""What a user sees: the installed commands on crafted files."""

from __future__ import annotations

import dataclasses
import re

import pytest
from hostile.arena import Arena
from hostile.commands import run_command
from hostile.readers import named

BENCH = ("mocovit-bench", "run", "--target", "host", "tiny.tflite")

CASES = (
    ("manifest", "a name with escapes", "2 ", ()),
    ("golden", "10^12 elements", "2 ", ()),
    ("onnx", "a loop without end", "4 .*did not end within 3 s", ("--deadline-s", "3")),
    ("pickle", "code, archive", "2 .*holds pickled code", ()),
    ("safetensors", "a name with escapes", "2 ", ()),
    ("program", "an expression that is code", "2 .*not plain arithmetic", ()),
    ("report", "a version with escapes", "2 ", ()),
)


def crafted(reader, what):
    found = next(dict(files) for done, files in reader.crafted(list(reader.seeds())) if done == what)
    reader.repair(found)
    return found


@pytest.mark.parametrize(("name", "what", "said", "more"), CASES, ids=[case[0] for case in CASES])
def test_the_command_says_one_line(name, what, said, more, tmp_path):
    reader = named(name)
    outcome = run_command(reader, Arena(tmp_path), crafted(reader, what), *more)
    assert outcome.kind == "clean", outcome
    assert re.match(said, outcome.detail), outcome


def test_one_byte_that_crashes_the_runtime(tmp_path):
    """Found by the fuzzer: LiteRT 2.3.0 follows an offset of 0 in the file's first table."""
    files = dict(named("tflite").seeds()[0].files)
    model = bytearray(files["tiny.tflite"])
    assert model[16] == 12
    model[16] = 0
    files["tiny.tflite"] = bytes(model)
    parity, bench = named("tflite"), dataclasses.replace(named("bench"), command=BENCH)
    named("bench").repair(files)
    outcome = run_command(parity, Arena(tmp_path), files)
    assert re.match(r"[34] .*tiny\.tflite", outcome.detail), outcome
    assert run_command(bench, Arena(tmp_path), files).detail.startswith("2 ")
