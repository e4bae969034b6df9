"""A phone on the desk of a test: connected, cool and clean, and looked after when the test is over."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from phone.image import SM8150_KHZ, write_battery, write_clocks, write_temperatures
from phone.relay import Relay, relay
from phone.server import Server
from phone.virtual import Phone

MODELS = Path(__file__).parents[2] / "benchmarks" / "models"
TINY = MODELS / "tiny.tflite"
TMP = "/data/local/tmp"
QUICK = ("--runs", "3", "--min-s", "0", "--warmup-runs", "1", "--warmup-min-s", "0", "--rounds", "1")
_CLEAN_S = 5.0


@dataclass(frozen=True)
class Outcome:
    """What a command left."""

    status: int
    out: str
    err: str

    @property
    def last(self) -> str:
        return self.err.splitlines()[-1] if self.err else ""


@dataclass(frozen=True)
class Desk:
    """A phone on the desk, the way to it, the adb server, and the command."""

    phone: Phone
    relay: Relay
    server: Server
    call: Callable[..., Outcome]

    def run(self, *words: str | Path, quick: bool = True) -> Outcome:
        """`mocovit-bench run`, on a core that this machine has."""
        cores = [] if "--cores" in words else ["--cores", "1"]
        return self.call("run", *words, "--target", "adb", *cores, *(QUICK if quick else ()))


def cannot(why: str) -> None:
    """Skip a test that this machine cannot run; fail it where that was forbidden, as in CI."""
    if os.environ.get("MOCOVIT_NEED_PHONES"):
        pytest.fail(f"{why}; MOCOVIT_NEED_PHONES forbids to go on without")
    pytest.skip(why)


def on_the_desk(phone: Phone, server: Server, call: Callable[..., Outcome]) -> Iterator[Desk]:
    reset(phone)
    with relay(phone.address) as way:
        assert "connected" in server.call("connect", way.address)
        yield Desk(phone, way, server, call)
        assert_clean(phone)
    here = Path(tempfile.gettempdir())
    assert server.folder.is_relative_to(here), "a test has a folder for temporary files of its own"
    assert not list(here.glob("mocovit-adb-*")), "files were left here"


def reset(phone: Phone) -> None:
    """Cool, charged, its clocks as high as they go."""
    write_clocks(phone.root, SM8150_KHZ)
    write_temperatures(phone.root, cpu_c=34.2, battery_c=28.1)
    write_battery(phone.root, level=87, temperature_c=28.1)


def assert_clean(phone: Phone) -> None:
    """No process and no file of ours is left on the phone, give or take the time it takes to go."""
    deadline = time.monotonic() + _CLEAN_S
    while True:
        left = [*phone.left_over(), *(str(path) for path in phone.path(TMP).iterdir())]
        if not left:
            return
        assert time.monotonic() < deadline, f"left on the phone: {left}"
        time.sleep(0.1)
