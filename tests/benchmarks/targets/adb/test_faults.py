"""What goes wrong with phones, one by one: the message, the exit status, and nothing left here or there."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from phone.desk import TINY, TMP, Desk, Outcome, on_the_desk
from phone.documented import assert_documented
from phone.image import write_battery, write_program, write_temperatures
from phone.pieces import Pieces
from phone.relay import relay
from phone.server import Server
from phone.small import small_phone
from phone.virtual import virtual_phone, why_not

pytestmark = pytest.mark.usefixtures("in_a_hurry")

Fake = Callable[[str], Path]
HANG = "while :; do :; done"


def test_no_adb(call: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ADB")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    done = call("run", TINY, "--target", "adb")
    assert_documented(done, "no adb")
    monkeypatch.setenv("ADB", "/nowhere/adb")
    done = call("run", TINY, "--target", "adb")
    assert_documented(done, "`$ADB` names nothing")


def test_no_phone(call: Callable[..., Outcome]) -> None:
    done = call("run", TINY, "--target", "adb")
    assert_documented(done, "no phone")


def test_two_phones_without_a_serial(real_desk: Desk) -> None:
    with relay(real_desk.phone.address) as second:
        real_desk.server.call("connect", second.address)
        done = real_desk.run(TINY)
    assert_documented(done, "two phones, no serial")
    assert second.address in done.last


def test_a_serial_that_is_not_there(real_desk: Desk) -> None:
    done = real_desk.run(TINY, "--serial", "a b'\"$(touch pwned)\x1b[2J")
    assert_documented(done, "a serial that is not there")
    assert "\x1b" not in done.err
    assert not Path("pwned").exists()


def test_unauthorised(pieces: Pieces, server: Server, call: Callable[..., Outcome], tmp_path: Path) -> None:
    with small_phone(tmp_path, pieces, options=["untrusting"]) as phone, relay(phone.address) as way:
        server.call("connect", way.address)
        until = time.monotonic() + 30
        while "authorizing" in server.call("devices") and time.monotonic() < until:  # the keys are exchanged
            time.sleep(0.1)
        done = call("run", TINY, "--target", "adb")
    assert_documented(done, "unauthorised")


def test_a_wireless_phone_that_does_not_answer(call: Callable[..., Outcome]) -> None:
    done = call("run", TINY, "--target", "adb", "--connect", "127.0.0.1:9")
    assert_documented(done, "wireless, no answer")


def test_offline_in_the_middle_of_a_push(desk: Desk, bundle: Path) -> None:
    desk.relay.cut_after(4 << 20, for_good=True)
    done = desk.run(TINY)
    assert_documented(done, "offline while copying")
    assert "trying again" in done.err


def test_a_connection_that_comes_back_is_taken_up_again(desk: Desk, bundle: Path) -> None:
    desk.relay.cut_after(4 << 20, for_good=False)
    done = desk.run(TINY, "--connect", desk.relay.address)
    assert_documented(done, "offline while copying, then back")


def test_offline_in_the_middle_of_a_run(desk: Desk, fake_bundle: Fake) -> None:
    with _when_the_bench_runs(desk, desk.relay.cut_off):
        done = desk.run(TINY, "--bundle", fake_bundle(HANG))
    assert_documented(done, "offline while running")
    assert "trying again" in done.err


def test_a_server_that_is_killed(desk: Desk, fake_bundle: Fake) -> None:
    with _when_the_bench_runs(desk, desk.server.kill):
        done = desk.run(TINY, "--bundle", fake_bundle(HANG))
    assert_documented(done, "adb's server killed")


def test_an_adb_that_is_killed(desk: Desk, fake_bundle: Fake) -> None:
    """The client that waits for the bench dies; the bench must not go on."""

    def kill() -> None:
        for pid in _waiting_clients():
            os.kill(pid, signal.SIGKILL)

    with _when_the_bench_runs(desk, kill):
        done = desk.run(TINY, "--bundle", fake_bundle(HANG), "--deadline-s", "6")
    assert_documented(done, "adb killed")
    assert_documented(done, "the bench hangs, or is too slow")  # as it did again


class _when_the_bench_runs:  # noqa: N801 - reads as a word
    """Do something once the bench is running on the phone."""

    def __init__(self, desk: Desk, act: Callable[[], None]) -> None:
        self._desk, self._act, self._end = desk, act, threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(0.05):
            if any("--deadline-s=" in words for words in self._desk.phone.left_over()):
                self._act()
                return


def _waiting_clients() -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                words = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if b"adb" in words and b"shell" in words and b"--deadline-s" in words:
                found.append(int(folder.name))
    return found


@pytest.mark.parametrize(
    ("option", "fault"), [("tmpfs=4000000", "storage full"), ("readonly", "folder read-only")]
)
def test_no_room_on_the_phone(
    option: str,
    fault: str,
    pieces: Pieces,
    server: Server,
    call: Callable[..., Outcome],
    tmp_path: Path,
    bundle: Path,
) -> None:
    if why := why_not():
        pytest.skip(f"storage can be limited in namespaces only: {why}")
    with virtual_phone(tmp_path, pieces, options=[option]) as phone:
        for desk in on_the_desk(phone, server, call):
            assert_documented(desk.run(TINY), fault)


def test_a_folder_that_is_not_there(real_desk: Desk) -> None:
    done = real_desk.run(TINY, "--remote-folder", f"{TMP}/not/there")
    assert_documented(done, "folder not there")
    for unfit in ("relative", "/data/local/tmp/a:b", "/data/local/tmp/a;b", "/data/\n"):
        assert_documented(real_desk.run(TINY, "--remote-folder", unfit), "folder that is no path")


def test_no_taskset(real_desk: Desk) -> None:
    tools = real_desk.phone.root / ("system/bin" if real_desk.phone.real else "tools")
    (tools / "taskset").rename(tools / "kept")
    try:
        done = real_desk.run(TINY)
    finally:
        (tools / "kept").rename(tools / "taskset")
    assert_documented(done, "no `taskset`")


def test_cores_that_the_phone_refuses(desk: Desk) -> None:
    done = desk.run(TINY, "--cores", "prime")
    assert_documented(done, "cores refused")
    done = desk.run(TINY, "--cores", "100")
    assert_documented(done, "cores that are not there")
    done = desk.run(TINY, "--cores", "primes")
    assert (done.status, "give prime, big, little" in done.last) == (2, True)


def test_a_taskset_that_is_ignored(real_desk: Desk) -> None:
    if not real_desk.phone.real:
        pytest.skip("the small phone has this machine's own taskset")
    tool = real_desk.phone.root / "system/bin/taskset"
    write_program(real_desk.phone.root, "taskset", '#!/system/bin/sh\nshift; exec "$@"\n')
    try:
        done = real_desk.run(TINY)
    finally:
        tool.unlink()
        tool.symlink_to("busybox")
    if os.cpu_count() != 1:
        assert_documented(done, "a mask that is ignored")


def test_a_hot_phone(real_desk: Desk) -> None:
    write_temperatures(real_desk.phone.root, cpu_c=61.0, battery_c=28.1)
    done = real_desk.run(TINY, "--cooldown-s", "0.1")
    assert_documented(done, "cores hot")


@pytest.mark.slow
def test_a_hot_battery_and_an_empty_one(real_desk: Desk) -> None:
    write_temperatures(real_desk.phone.root, cpu_c=34.0, battery_c=45.0)
    done = real_desk.run(TINY, "--cooldown-s", "0")
    assert_documented(done, "battery hot")
    write_temperatures(real_desk.phone.root, cpu_c=34.0, battery_c=28.0)
    write_battery(real_desk.phone.root, level=4, temperature_c=28.0)
    done = real_desk.run(TINY, "--cooldown-s", "0")
    assert_documented(done, "battery nearly empty")


def test_a_bench_that_hangs(desk: Desk, fake_bundle: Fake) -> None:
    begun = time.monotonic()
    done = desk.run(TINY, "--bundle", fake_bundle(HANG), "--deadline-s", "1")
    assert_documented(done, "the bench hangs, or is too slow")
    assert "trying again" not in done.err
    assert time.monotonic() - begun < 30


def test_a_bench_that_ends_at_its_deadline(real_desk: Desk, fake_bundle: Fake) -> None:
    done = real_desk.run(TINY, "--bundle", fake_bundle("exit 7"))
    assert_documented(done, "the bench hangs, or is too slow")


def test_a_gigabyte_of_output(desk: Desk, fake_bundle: Fake) -> None:
    done = desk.run(TINY, "--bundle", fake_bundle("exec yes"))
    assert_documented(done, "a gigabyte of output")


def test_garbage_for_a_report(desk: Desk, fake_bundle: Fake) -> None:
    script = (
        'for w; do case "$w" in --report=*) echo "\\200\\201{[" > "${w#--report=}";; esac; done; echo "\\377"'
    )
    done = desk.run(TINY, "--bundle", fake_bundle(script))
    assert_documented(done, "garbage for a report")


def test_a_bench_that_leaves_no_report(desk: Desk, fake_bundle: Fake) -> None:
    done = desk.run(TINY, "--bundle", fake_bundle("exit 0"))
    assert_documented(done, "no report")


@pytest.mark.parametrize(
    ("script", "fault", "says"),
    [
        ("echo 'bench: no such operator' >&2; exit 4", "the runtime refuses the model", "no such operator"),
        ("echo 'bench: out of memory' >&2; exit 1", "the bench crashes", "out of memory"),
        ("echo 'bench: dlopen failed' >&2; exit 3", "the runtime does not start", "dlopen failed"),
        ("kill -11 $$", "the bench crashes", "Segmentation fault"),
        ("exit 127", "the loader does not start", "exit status 127"),
        ("exit 255", "the bench crashes", "exit status 255"),
    ],
)
def test_a_bench_that_fails(script: str, fault: str, says: str, small_desk: Desk, fake_bundle: Fake) -> None:
    done = small_desk.run(TINY, "--bundle", fake_bundle(script))
    assert_documented(done, fault)
    assert says in done.last


def test_the_doctor_names_the_step(desk: Desk, call: Callable[..., Outcome], fake_bundle: Fake) -> None:
    done = call("doctor", "--cores", "1", "--bundle", fake_bundle("exit 126"))
    assert done.status == 7
    assert "FAILED  loader" in done.err
    assert "--benchmark-binary PATH" in done.last
    assert "-       bench             not tried: needs loader" in done.err


def test_the_doctor_examines_the_bundle_without_a_phone(
    desk: Desk, call: Callable[..., Outcome], fake_bundle: Fake
) -> None:
    done = call("doctor", "--serial", "nowhere", "--bundle", fake_bundle("exit 126"))
    assert done.status == 7
    assert "ok      bundle" in done.err
    assert "FAILED  phone" in done.err
    assert "-       inference         not tried: needs bench" in done.err
    assert "step 'phone' of 8 failed" in done.last


def test_another_command_on_the_same_phone(desk: Desk, fake_bundle: Fake) -> None:
    lock = desk.phone.path(TMP) / "mocovit-deploy.lock"
    lock.mkdir()  # of a phone that was switched off meanwhile: nobody holds it
    (lock / "pid").write_text("1\n")
    done = desk.run(TINY, "--bundle", fake_bundle("exit 1"))
    assert "the bench died" in done.last
