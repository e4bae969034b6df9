"""mocovit-bench: measure files where they will run.

    mocovit-bench run FILE... --target host|adb|emulated  measure
    mocovit-bench ab A B --target host|adb|emulated       which of two is faster, measured in turn
    mocovit-bench compare OLD.json NEW.json               what moved between two reports
    mocovit-bench page REPORT.json... --output FILE.html  reports as one page with plots
    mocovit-bench doctor                                  is a phone ready, and if not, why
    mocovit-bench bundle | emulator | calibrate           what measuring needs

Only argparse is imported before the words are understood, so that --help is immediate.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from benchmarks.plan import CPUS, MAX_THREADS, RUNTIMES
from benchmarks.targets import TARGETS
from mocovit_deploy.errors import DeployError, DeviceError, UsageError, unknown_choice
from mocovit_deploy.printable import printable

PROGRAM = "mocovit-bench"
INTERRUPTED = 130  # what a shell reports for a program ended by Ctrl-C
TERMINATED = 143  # and by SIGTERM
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status (docs/measuring.md lists them)."""
    try:
        arguments = build_parser().parse_args(argv)
        from benchmarks import commands

        with _ending_on_sigterm():
            return commands.run_command(arguments)
    except DeployError as error:
        print(printable(f"{PROGRAM}: error: {error}", keep="\n"), file=sys.stderr)
        return error.exit_status
    except BrokenPipeError:  # the reader of our output has gone; there is nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in _DISK:
            return _internal(error)
        from tempfile import gettempdir

        print(f"{PROGRAM}: error: {error.strerror}: make room in {gettempdir()}", file=sys.stderr)
        return DeviceError.exit_status
    except Exception as error:  # noqa: BLE001 - see _internal
        return _internal(error)
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted", file=sys.stderr)
        return INTERRUPTED


def _internal(error: Exception) -> int:
    """A defect of ours: one line, and a status that says so; the traceback for who asks for it."""
    if os.environ.get("MOCOVIT_TRACEBACK"):
        import traceback

        traceback.print_exc()
    said = f"{PROGRAM}: internal error: {type(error).__name__}: {error}"
    print(printable(f"{said}; MOCOVIT_TRACEBACK=1 shows where"), file=sys.stderr)
    return DeployError.exit_status


@contextlib.contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """Turn SIGTERM into an exception, which passes every `finally`: what we have started ends with us."""
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(TERMINATED)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Measure exported files: on this machine, on a phone, or counted under an ARM emulator.",
        epilog="Exit status: 0 done, 1 internal error, 2 usage, 4 outputs differ or were not checked, "
        "6 slower than the bar, 7 device unusable, 8 a tool is missing.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="check files and measure them")
    run.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a .tflite or .onnx file")
    _add_measuring(run)
    run.add_argument(
        "--output", type=Path, metavar="FILE", help="write the report there as JSON, for compare"
    )
    run.add_argument("--html", type=Path, metavar="FILE", help="write the report there as a page with plots")
    run.add_argument(
        "--benchmark-binary", type=Path, metavar="PATH",
        help="measure with Google's benchmark_model instead of our bench (host, adb; it gives no samples)",
    )  # fmt: skip
    run.add_argument(
        "--rounds", type=_whole(1, 100), help="steady rounds to take on a phone (adb; default 3)"
    )
    run.add_argument("--all-devices", action="store_true", help="measure on every phone at once (adb)")

    ab = commands.add_parser("ab", help="measure two files in turn (A B B A ...) and say which is faster")
    ab.add_argument("a", type=Path, metavar="A")
    ab.add_argument("b", type=Path, metavar="B")
    ab.add_argument("--rounds", type=_whole(1, 100), default=6, help="pairs to measure (default 6)")
    _add_measuring(ab)

    compare = commands.add_parser("compare", help="what moved between two reports; fails if slower")
    compare.add_argument("old", type=Path, metavar="OLD.json")
    compare.add_argument("new", type=Path, metavar="NEW.json")
    compare.add_argument(
        "--fail-above", metavar="PERCENT", help="exit 6 if a file is slower by more, as in 3%%"
    )
    compare.add_argument("--json", action="store_true", help="print the comparison as JSON")

    bundle = commands.add_parser(
        "bundle", help="make the folder of aarch64 programs that emulators and phones run"
    )
    bundle.add_argument("--runtime", type=_one_of("runtime", RUNTIMES), help="one only (default: all)")
    bundle.add_argument("--deadline-s", type=_seconds, default=900.0, metavar="S")
    bundle.add_argument("--json", action="store_true", help="print where they are as JSON")

    emulator = commands.add_parser(
        "emulator", help="build the emulator that counts (about four minutes, once)"
    )
    emulator.add_argument("--deadline-s", type=_seconds, default=1800.0, metavar="S")
    emulator.add_argument("--json", action="store_true", help="print what was found or built as JSON")

    doctor = commands.add_parser("doctor", help="walk through all that measuring on a phone takes")
    doctor.add_argument("--bundle", type=Path, metavar="PATH", help="a bundle of your own")
    doctor.add_argument("--deadline-s", type=_seconds, default=900.0, metavar="S")
    doctor.add_argument("--json", action="store_true", help="print every step as JSON")
    _add_phone(doctor)

    page = commands.add_parser("page", help="turn reports into one page with plots, for any browser")
    page.add_argument("reports", nargs="+", type=Path, metavar="REPORT.json")
    page.add_argument("--output", type=Path, required=True, metavar="FILE.html")

    calibrate = commands.add_parser(
        "calibrate", help="refit the modelled milliseconds to published measurements"
    )
    calibrate.add_argument("--json", action="store_true", help="print the fit as JSON")
    return parser


def _add_measuring(parser: argparse.ArgumentParser) -> None:
    """What `run` and `ab` share. What is not given is the plan's own default (benchmarks/plan.py)."""
    parser.add_argument("--target", type=_one_of("target", TARGETS), required=True, help=" or ".join(TARGETS))
    parser.add_argument("--runtime", type=_one_of("runtime", RUNTIMES), help=f"one of {', '.join(RUNTIMES)}")
    parser.add_argument("--threads", type=_whole(1, MAX_THREADS), default=1, metavar="N")
    parser.add_argument(
        "--runs", type=_whole(1, 1_000_000), metavar="N", help="inferences to measure, at least"
    )
    parser.add_argument("--min-s", type=_seconds, metavar="S", help="measure at least this long (host, adb)")
    parser.add_argument(
        "--warmup-runs", type=_whole(0, 1_000_000), metavar="N", help="warm-up, at least (host, adb)"
    )
    parser.add_argument(
        "--warmup-min-s", type=_seconds, metavar="S", help="warm up at least this long (host, adb)"
    )
    parser.add_argument(
        "--deadline-s", type=_seconds, default=600.0, metavar="S", help="end everything after"
    )
    parser.add_argument("--fp16", action="store_true", help="compute in half precision where XNNPACK can")
    parser.add_argument("--cpu", type=_one_of("cpu", CPUS), help=f"core to emulate: {', '.join(CPUS)}")
    parser.add_argument("--device", metavar="NAME", help="device file to model milliseconds for (emulated)")
    parser.add_argument("--bundle", type=Path, metavar="PATH", help="a bundle of your own (adb, emulated)")
    parser.add_argument("--per-op", action="store_true", help="time or instructions of every operator")
    parser.add_argument("--no-verify", action="store_true", help="measure without checking the outputs first")
    parser.add_argument(
        "--json", action="store_true", help="print the report for machines on standard output"
    )
    _add_phone(parser)


def _add_phone(parser: argparse.ArgumentParser) -> None:
    """Which phone, and how to treat it. None of them goes with another target."""
    phone = parser.add_argument_group("phones (adb)")
    phone.add_argument("--serial", metavar="S", help="the phone (default: ANDROID_SERIAL, or the only one)")
    phone.add_argument("--connect", metavar="HOST:PORT", help="a wireless phone to connect to first")
    phone.add_argument(
        "--cores", metavar="WORD|MASK",
        help="prime, big, little or a hexadecimal mask (default: prime; big for several threads)",
    )  # fmt: skip
    phone.add_argument(
        "--remote-folder", metavar="PATH", help="where on the phone to put files (default /data/local/tmp)"
    )
    phone.add_argument("--keep", action="store_true", help="leave the files there, for the next run")
    phone.add_argument(
        "--no-root", action="store_true", help="leave the governor alone even if there is root"
    )
    phone.add_argument(
        "--cooldown-s", type=_seconds, metavar="S", help="wait this long for a hot phone (default 300)"
    )


def _one_of(what: str, choices: Sequence[str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise unknown_choice(what, text, choices)
        return text

    return read


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise UsageError(f"{text!r} is not a whole number from {least} to {most}")
        return int(text)

    return read


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e6:
        raise UsageError(f"{text!r} is not a number of seconds")
    return value


if __name__ == "__main__":
    sys.exit(main())
