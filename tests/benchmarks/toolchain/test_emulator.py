"""The emulator that counts: found, checked before use, exact."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from benchmarks.toolchain import emulator
from benchmarks.toolchain import qemu as emulator_build
from benchmarks.toolchain import qemu_check as emulator_check
from benchmarks.toolchain.emulator import Emulator
from benchmarks.toolchain.qemu_check import EXPECTED, PROGRAM
from mocovit_deploy.errors import DeployError, DeviceError, MissingToolError, TransientDeviceError, UsageError
from mocovit_deploy.untrusted.process import Finished, run_process

START, REGION, STOP, EXIT = PROGRAM[:5], PROGRAM[5:14], PROGRAM[14:19], PROGRAM[19:]
NOP = 0xD503201F
TICK_7 = (0x528849C0, 0x72A9AAC0, 0xD2800041, 0xD28000E2, 0xD28014E8, 0xD4000001)
TICK_8 = (0x528849C0, 0x72A9AAC0, 0xD2800041, 0xD2800102, 0xD28014E8, 0xD4000001)


def execute(
    emulator_: Emulator, folder: Path, words: tuple[int, ...], output: Path, hottest: int = 0
) -> Finished:
    program = folder / "program"
    program.write_bytes(emulator_check.elf(words))
    program.chmod(0o755)
    return run_process(
        [*emulator_.command(cpu="cortex-a76", output=output, hottest=hottest), program], deadline_s=30
    )


def test_known_program_is_counted_to_the_last_instruction(
    counting_emulator: Emulator, tmp_path: Path
) -> None:
    assert execute(counting_emulator, tmp_path, PROGRAM, tmp_path / "counts").ok
    assert emulator.read_counts(tmp_path / "counts") == (EXPECTED,)


def test_two_runs_agree_to_the_last_byte(counting_emulator: Emulator, tmp_path: Path) -> None:
    outputs = [tmp_path / "one", tmp_path / "two"]
    for output in outputs:
        assert execute(counting_emulator, tmp_path, PROGRAM, output, hottest=9).ok
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_environment_of_the_caller_does_not_reach_the_program(
    counting_emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(counting_emulator, tmp_path, PROGRAM, tmp_path / "one", hottest=9)
    monkeypatch.setenv("SOMETHING_LONG", "x" * 1000)
    execute(counting_emulator, tmp_path, PROGRAM, tmp_path / "two", hottest=9)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_each_region_is_counted_by_itself(counting_emulator: Emulator, tmp_path: Path) -> None:
    words = (*START, *REGION, *STOP, *START, NOP, NOP, *STOP, *EXIT)
    execute(counting_emulator, tmp_path, words, tmp_path / "counts")
    first, second = emulator.read_counts(tmp_path / "counts")
    assert first == EXPECTED
    assert second.instructions == 2 + len(STOP)
    assert second.by_class["system"] == 3


def test_ticks_note_what_ran_so_far(counting_emulator: Emulator, tmp_path: Path) -> None:
    words = (*TICK_8, *START, *TICK_7, NOP, NOP, NOP, *TICK_8, *STOP, *EXIT)
    execute(counting_emulator, tmp_path, words, tmp_path / "counts")
    (region,) = emulator.read_counts(tmp_path / "counts")
    assert [(tick.number, tick.instructions) for tick in region.ticks] == [(7, 6), (8, 15)]
    assert region.instructions == 20
    bounds = [tick.cycle_bounds_x24["cortex-a76"] for tick in region.ticks]
    assert 0 < bounds[0] < bounds[1] < region.cycle_bounds_x24["cortex-a76"]


def test_hottest_blocks_carry_their_words(counting_emulator: Emulator, tmp_path: Path) -> None:
    execute(counting_emulator, tmp_path, PROGRAM, tmp_path / "counts", hottest=2)
    (region,) = emulator.read_counts(tmp_path / "counts")
    hot, warm = region.hottest
    assert (hot.executions, hot.instructions) == (1, 9)
    assert hot.words == tuple(f"{word:08x}" for word in REGION)
    assert (warm.executions, warm.instructions) == (1, 5)


def test_output_path_may_hold_a_comma(counting_emulator: Emulator, tmp_path: Path) -> None:
    folder = tmp_path / "a,b"
    folder.mkdir()
    assert execute(counting_emulator, tmp_path, PROGRAM, folder / "counts").ok
    assert emulator.read_counts(folder / "counts") == (EXPECTED,)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((*START, *REGION, *EXIT), "left open"),
        ((*STOP, *EXIT), "left open or ended twice"),
        (EXIT, "ended before its first inference"),
    ],
)
def test_counts_of_a_program_that_did_not_finish_are_refused(
    counting_emulator: Emulator, tmp_path: Path, words: tuple[int, ...], complaint: str
) -> None:
    execute(counting_emulator, tmp_path, words, tmp_path / "counts")
    with pytest.raises(DeviceError, match=complaint):
        emulator.read_counts(tmp_path / "counts")


def test_missing_counts_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="left no counts"):
        emulator.read_counts(tmp_path / "absent")


def test_plugin_that_miscounts_is_refused(counting_emulator: Emulator, tmp_path: Path) -> None:
    """The mutation: one bit of one row of the decoder's table."""
    native = tmp_path / "native"
    shutil.copytree(emulator.PLUGIN_SOURCES.parent, native)
    table = native / "counting" / "a64.c"
    right, wrong = "0x0e20cc00, SIMD_FMA_F32", "0x0e20cc04, SIMD_FMA_F32"
    assert right in table.read_text()
    table.write_text(table.read_text().replace(right, wrong))
    include = counting_emulator.qemu.parents[1] / "include"
    if not include.is_dir():
        pytest.skip("the emulator is the user's own: its headers are elsewhere")
    plugin = tmp_path / "counting.so"
    emulator.compile_plugin(native / "counting", include, plugin, deadline_s=60)
    with pytest.raises(DeployError, match="miscounts a known program"):
        emulator.self_check(dataclasses.replace(counting_emulator, plugin=plugin))


def test_plugin_that_does_not_load_is_refused(counting_emulator: Emulator, tmp_path: Path) -> None:
    plugin = tmp_path / "counting.so"
    plugin.write_bytes(b"no plugin")
    with pytest.raises(DeployError, match="does not run the counting plugin"):
        emulator.self_check(dataclasses.replace(counting_emulator, plugin=plugin))


def test_plugin_that_does_not_compile_says_why(tmp_path: Path) -> None:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler (cc)")
    sources = tmp_path / "counting"
    sources.mkdir()
    (sources / "broken.c").write_text("this is no C\n")
    with pytest.raises(DeployError, match=r"does not compile: .*broken\.c"):
        emulator.compile_plugin(sources, tmp_path, tmp_path / "out.so", deadline_s=60)


def test_sources_make_the_digest(tmp_path: Path) -> None:
    native = tmp_path / "native"
    shutil.copytree(emulator.PLUGIN_SOURCES.parent, native)
    before = emulator.plugin_digest(native / "counting")
    assert before == emulator.plugin_digest(emulator.PLUGIN_SOURCES)
    (native / "markers.h").write_text("/* other marks */\n")
    assert emulator.plugin_digest(native / "counting") != before


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, and a PATH with nothing in it."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.delenv("MOCOVIT_QEMU", raising=False)
    return programs


def fake_qemu(folder: Path, *, version: str, plugins: bool) -> None:
    option = "-plugin [file=]<file>" if plugins else "-cpu model"
    program = folder / "qemu-aarch64"
    program.write_text(
        f'#!/bin/sh\nif [ "$1" = --help ]; then echo "{option}"; exit; fi\n'
        f'echo "qemu-aarch64 version {version}"\n'
    )
    program.chmod(0o755)


@pytest.mark.usefixtures("bare_machine")
def test_without_an_emulator_the_message_says_what_to_run() -> None:
    with pytest.raises(MissingToolError, match="run: mocovit-bench emulator") as caught:
        emulator.find_emulator()
    assert caught.value.exit_status == 8


@pytest.mark.parametrize(("version", "plugins"), [("8.2.0", True), ("9.0.4", True), ("10.0.2", False)])
def test_unfit_qemu_of_the_user_is_not_taken(bare_machine: Path, version: str, plugins: bool) -> None:
    fake_qemu(bare_machine, version=version, plugins=plugins)
    with pytest.raises(MissingToolError):
        emulator.find_emulator()


def test_qemu_of_the_user_is_taken_only_if_it_counts(bare_machine: Path, tmp_path: Path) -> None:
    """It says it loads plugins; that it does not is found by running the known program."""
    fake_qemu(bare_machine, version="10.1.0", plugins=True)
    for program in ("cc", "env", "sh"):
        if real := shutil.which(program, path="/usr/bin:/bin"):
            (bare_machine / program).symlink_to(real)
    include = tmp_path / "cache" / "mocovit-deploy" / "emulator" / f"headers-{emulator_build.recipe_key()}"
    (include / "include").mkdir(parents=True)
    (include / "include" / "qemu-plugin.h").write_text("")
    with pytest.raises(DeployError, match=r"does not (compile|run)"):
        emulator.find_emulator()


def test_a_name_of_nothing_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MOCOVIT_QEMU", str(tmp_path / "qemu"))
    with pytest.raises(UsageError, match="no such program; name a qemu-aarch64"):
        emulator.find_emulator()


def test_qemu_of_the_user_counts(
    counting_emulator: Emulator, bare_machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real one, named in the environment, with headers fetched but no emulator built."""
    headers = counting_emulator.qemu.parents[1] / "include"
    if not headers.is_dir():
        pytest.skip("the emulator is the user's own: its headers are elsewhere")
    home = tmp_path / "cache" / "mocovit-deploy" / "emulator" / f"headers-{emulator_build.recipe_key()}"
    shutil.copytree(headers, home / "include")
    monkeypatch.setenv("PATH", f"{bare_machine}:/usr/bin:/bin")
    monkeypatch.setenv("MOCOVIT_QEMU", str(counting_emulator.qemu))
    found = emulator.find_or_build_emulator(say=lambda _: None)
    assert found.identity == counting_emulator.identity
    assert found.qemu == counting_emulator.qemu
    assert found.plugin.is_relative_to(tmp_path)


def test_altered_emulator_is_refused(
    counting_emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = counting_emulator.qemu.parents[1]
    if not (home / "emulator.json").is_file():
        pytest.skip("the emulator is the user's own: nothing was recorded of it")
    copy = tmp_path / "mocovit-deploy" / "emulator" / home.name
    shutil.copytree(home, copy)
    with (copy / "bin" / "qemu-aarch64").open("ab") as program:
        program.write(b"\0")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UsageError, match="changed since it was built"):
        emulator.find_emulator()


def test_build_names_the_packages_it_needs(bare_machine: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingToolError, match=r"apt-get install gcc pkg-config"):
        emulator_build.build_qemu(tmp_path / "final", deadline_s=60, say=lambda _: None)
    assert bare_machine.is_dir()


def test_failed_build_leaves_nothing_but_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive that is no archive: unpacking fails, and its log is kept."""
    for program in emulator_build._NEEDED:
        if shutil.which(program) is None:
            pytest.skip(f"no {program}, which a build needs")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def fetch_rubbish(name: str, *, suite: str, into: Path, deadline_s: float) -> tuple[object, ...]:
        from benchmarks.toolchain.debian import Fetched

        path = into / f"{name}_1.orig.tar.xz"
        path.write_bytes(b"rubbish")
        return (Fetched(name, "1", suite, "source", "", path),)

    monkeypatch.setattr(emulator_build, "fetch_source", fetch_rubbish)
    final = tmp_path / "cache" / "mocovit-deploy" / "emulator" / "qemu-x"
    with pytest.raises(DeployError, match="failed at tar: see "):
        emulator_build.build_qemu(final, deadline_s=60, say=lambda _: None)
    left = [path.name for path in final.parent.iterdir()]
    assert left == ["build-failed.log"]
    assert "$ tar --extract" in (final.parent / "build-failed.log").read_text()


def test_time_runs_out(tmp_path: Path) -> None:
    steps = emulator_build._Steps(tmp_path / "log", deadline_s=0)
    with pytest.raises(TransientDeviceError, match="longer than allowed"):
        steps.run(["true"], {})


def test_build_folder_is_cut_out_of_the_library_path() -> None:
    libraries = Path("/build/lib")
    program = b"head $ORIGIN/../lib:/build/lib\0tail"
    cut = emulator_build._without_build_folder(program, libraries)
    assert cut == b"head $ORIGIN/../lib" + bytes(len(":/build/lib")) + b"\0tail"
    with pytest.raises(DeployError, match="an unexpected library path"):
        emulator_build._without_build_folder(program + b"/build/lib", libraries)


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_builds_from_signed_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("apt-get") is None:
        pytest.skip("no apt-get to fetch qemu's source with")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("MOCOVIT_QEMU", raising=False)
    said: list[str] = []
    built = emulator.find_or_build_emulator(say=said.append)
    emulator.self_check(built)
    assert any("compiling" in line for line in said)
    record = json.loads((built.qemu.parents[1] / "emulator.json").read_text())
    assert built.version == record["qemu"]
