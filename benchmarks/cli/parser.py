"""The command line of `mocovit-bench`: commands, options and examples. Imports nothing heavy."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from mocovit_deploy.choices import CPUS, MAX_THREADS, RUNTIMES, SHELLS, TARGETS
from mocovit_deploy.cli.parsers import Parser, Version
from mocovit_deploy.errors import UsageError, unknown_choice

STATUSES = """exit status:
  0 done and checked     4 outputs differ, or not checked    7 device unusable, time is up, disk full,
  1 internal error       6 slower than --fail-above            output closed
  2 usage                                                    8 a missing extra or tool"""

EXAMPLES = {
    "run": """examples:
  mocovit-bench run net.tflite --target host                        times on this machine
  mocovit-bench run net.tflite --target emulated --per-op           exact counts, operator by operator
  mocovit-bench run net.tflite --target adb --output net.json --html net.html
  mocovit-bench run a.tflite b.tflite --target adb --serial S --cores big --threads 2
""",
    "ab": """examples:
  mocovit-bench ab old.tflite new.tflite --target host --rounds 10
  mocovit-bench ab old.tflite new.tflite --target adb
  mocovit-bench ab old.tflite new.tflite --target emulated          exact counts, taken once
""",
    "compare": """examples:
  mocovit-bench compare old.json new.json
  mocovit-bench compare old.json new.json --fail-above 3%           exit 6 if anything is slower by more
  mocovit-bench compare old.json new.json --fail-above 0%           for counts: one cycle more fails
""",
    "bundle": """examples:
  mocovit-bench bundle                                              all runtimes, about half a minute
  mocovit-bench bundle --runtime litert --json
""",
    "emulator": """examples:
  mocovit-bench emulator                                            about four minutes, once
  MOCOVIT_QEMU=/opt/qemu/bin/qemu-aarch64 mocovit-bench emulator    your own QEMU, if it loads plugins
""",
    "doctor": """examples:
  mocovit-bench doctor
  mocovit-bench doctor --serial S --cores big
  mocovit-bench doctor --connect 192.168.1.7:5555                   a wireless phone
""",
    "page": """examples:
  mocovit-bench page host.json phone.json --output compare.html
""",
    "calibrate": """examples:
  mocovit-bench calibrate
  mocovit-bench calibrate --json
""",
}


def build_parser(program: str) -> argparse.ArgumentParser:
    """The parser of the whole command line. It raises `UsageError` for options it does not accept."""
    parser = Parser(
        prog=program,
        description="Measure exported files: on this machine, on a phone, or counted under an ARM emulator.",
        epilog=f"{program} COMMAND --help has examples.\n\n{STATUSES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=Version, nargs=0, help="print the version and stop")
    parser.add_argument(
        "--completion",
        action=_Completion,
        choices=SHELLS,
        help="print a script for the shell, for eval or its folder of completions, and stop",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, about: str) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name,
            help=about,
            description=f"{about[0].upper()}{about[1:]}.",
            epilog=f"{EXAMPLES[name]}\n{STATUSES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        made.add_argument("--verbose", action="store_true", help="show tracebacks")
        return made

    run = command("run", "check files and measure them")
    run.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a .tflite or .onnx file")
    _add_measuring(run)
    run.add_argument(
        "--output", type=Path, metavar="FILE", help="write the reports to FILE as JSON, for compare"
    )
    run.add_argument(
        "--html", type=Path, metavar="FILE", help="write the reports to FILE as a page with plots"
    )
    run.add_argument(
        "--benchmark-binary",
        type=Path,
        metavar="PATH",
        help="measure with Google's benchmark_model at PATH, which gives averages but no samples (host, adb)",
    )
    _add_whole(run, "--rounds", "steady rounds to measure on a phone (adb; default 3)", least=1, most=100)
    run.add_argument(
        "--all-devices", action="store_true", help="measure on all connected phones at once (adb)"
    )

    ab = command("ab", "measure two files in turn (A B B A ...) and say which is faster")
    ab.add_argument("a", type=Path, metavar="A", help="a .tflite or .onnx file")
    ab.add_argument("b", type=Path, metavar="B", help="the file to compare with A")
    _add_whole(ab, "--rounds", "pairs of measurements (host, adb; default 6)", least=1, most=100)
    _add_measuring(ab)

    compare = command("compare", "show what changed between two reports; fail if slower")
    compare.add_argument("old", type=Path, metavar="OLD.json", help=_WRITTEN)
    compare.add_argument("new", type=Path, metavar="NEW.json", help="a later report of the same files")
    compare.add_argument(
        "--fail-above", metavar="PERCENT", help="exit 6 if a file is slower by more than this, such as 3%%"
    )
    compare.add_argument("--json", action="store_true", help="print the comparison as JSON")

    bundle = command("bundle", "make the folder of aarch64 programs that emulators and phones run")
    bundle.add_argument(
        "--runtime", type=_one_of("runtime", RUNTIMES), help="make the bundle of one runtime (default: all)"
    )
    _add_seconds(bundle, "--deadline-s", "give up after S seconds (default 900)", default=900.0)
    bundle.add_argument("--json", action="store_true", help="print versions and paths of the bundles as JSON")

    emulator = command("emulator", "build the emulator that counts (about four minutes, once)")
    _add_seconds(emulator, "--deadline-s", "give up after S seconds (default 1800)", default=1800.0)
    emulator.add_argument(
        "--json", action="store_true", help="print version and paths of the emulator as JSON"
    )

    doctor = command("doctor", "check, step by step, that a phone can be measured on")
    doctor.add_argument("--bundle", type=Path, metavar="PATH", help="use the bundle at PATH")
    _add_seconds(doctor, "--deadline-s", "give up after S seconds (default 900)", default=900.0)
    doctor.add_argument("--json", action="store_true", help="print every step as JSON")
    _add_phone(doctor)

    page = command("page", "turn reports into one page with plots, for any browser")
    page.add_argument("reports", nargs="+", type=Path, metavar="REPORT.json", help=_WRITTEN)
    page.add_argument("--output", type=Path, required=True, metavar="FILE.html", help="the page to write")

    calibrate = command("calibrate", "refit the modelled milliseconds to published measurements")
    calibrate.add_argument("--json", action="store_true", help="print the fit as JSON")
    return parser


class _Completion(argparse.Action):
    """Print the script of a shell and stop, with no command given."""

    def __call__(
        self, parser: argparse.ArgumentParser, _given: object, shell: object, _word: object = None
    ) -> None:
        from benchmarks.cli.completion import VALUES
        from mocovit_deploy.terminal.completion import script

        sys.stdout.write(script(str(shell), (parser,), VALUES))
        parser.exit()


_WRITTEN = "a report that run --output wrote"


def _add_measuring(parser: argparse.ArgumentParser) -> None:
    """The options that `run` and `ab` share; `Plan` (benchmarks/reports/plan.py) has their defaults."""
    parser.add_argument(
        "--target",
        type=_one_of("target", TARGETS),
        required=True,
        help=f"where to measure: {' or '.join(TARGETS)}",
    )
    parser.add_argument(
        "--runtime",
        type=_one_of("runtime", RUNTIMES),
        help=f"one of {', '.join(RUNTIMES)} (default: litert for .tflite)",
    )
    _add_whole(
        parser, "--threads", "threads of the runtime (default 1)", least=1, most=MAX_THREADS, default=1
    )
    many = 1_000_000
    _add_whole(parser, "--runs", "measure at least N inferences (default 50; emulated 2)", least=1, most=many)
    _add_seconds(parser, "--min-s", "measure for at least S seconds (host, default 2; adb, default 10)")
    _add_whole(
        parser,
        "--warmup-runs",
        "warm up with at least N inferences (host, adb; default 10)",
        least=0,
        most=many,
    )
    _add_seconds(parser, "--warmup-min-s", "warm up for at least S seconds (host, adb; default 1)")
    _add_seconds(
        parser, "--deadline-s", "end the command after S seconds (default: 600 for each run of the bench)"
    )
    parser.add_argument("--fp16", action="store_true", help="compute in half precision where XNNPACK can")
    parser.add_argument(
        "--cpu", type=_one_of("cpu", CPUS), help=f"core to emulate: {', '.join(CPUS)} (default: the first)"
    )
    parser.add_argument(
        "--device", metavar="NAME", help="device to model milliseconds for (emulated; snapdragon_855)"
    )
    parser.add_argument("--bundle", type=Path, metavar="PATH", help="use the bundle at PATH (adb, emulated)")
    parser.add_argument(
        "--per-op", action="store_true", help="measure time or instructions of every operator"
    )
    parser.add_argument("--no-verify", action="store_true", help="measure without checking the outputs first")
    parser.add_argument("--json", action="store_true", help="print the reports as JSON on standard output")
    _add_phone(parser)


def _add_phone(parser: argparse.ArgumentParser) -> None:
    """The options about phones. They go with no target but adb."""
    phone = parser.add_argument_group("phones (adb)")
    phone.add_argument(
        "--serial",
        metavar="S",
        help="serial number of the phone (default: ANDROID_SERIAL, or the only phone)",
    )
    phone.add_argument("--connect", metavar="HOST:PORT", help="connect to this wireless phone first")
    phone.add_argument(
        "--cores",
        metavar="WORD|MASK",
        help="prime, big, little or a hexadecimal mask (default: prime; big for several threads)",
    )
    phone.add_argument(
        "--remote-folder", metavar="PATH", help="folder for files on the phone (default /data/local/tmp)"
    )
    phone.add_argument("--keep", action="store_true", help="leave the files on the phone, for the next run")
    phone.add_argument(
        "--no-root", action="store_true", help="do not set the phone's governor, even with root access"
    )
    _add_seconds(phone, "--cooldown-s", "wait up to S seconds for a hot phone to cool (default 300)")


def _one_of(what: str, choices: Sequence[str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise unknown_choice(what, text, choices)
        return text

    return read


def _add_whole(
    parser: argparse._ActionsContainer,
    option: str,
    about: str,
    *,
    least: int,
    most: int,
    default: int | None = None,
) -> None:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and least <= int(text) <= most):
            raise UsageError(f"{option} {text}: not a whole number from {least} to {most}")
        return int(text)

    parser.add_argument(option, type=read, default=default, metavar="N", help=about)


def _add_seconds(
    parser: argparse._ActionsContainer, option: str, about: str, *, default: float | None = None
) -> None:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value < 1e6:
            raise UsageError(f"{option} {text}: not a number of seconds")
        return value

    parser.add_argument(option, type=read, default=default, metavar="S", help=about)
