"""The parsers of mocovit-export and mocovit-parity, with examples. Nothing heavy is imported here."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from mocovit_deploy.choices import SHELLS, TARGETS
from mocovit_deploy.cli.export_options import add_accuracy, add_export_options
from mocovit_deploy.cli.option_value import positive
from mocovit_deploy.errors import UsageError

STATUSES = """exit status:
  0 done and checked         4 parity failed or not run      7 device unusable, disk full, output closed
  1 internal error           5 accuracy below the bar        8 a missing extra or tool
  2 usage                    6 slower than the bar
  3 conversion failed"""

EXPORT_EXAMPLES = """examples:
  mocovit-export                                      mocovit_1_0 in all formats into build/
  mocovit-export --format tflite --checkpoint mine.safetensors --num-classes 10 --image-size 96
  mocovit-export --model timm/mobilevit_xxs --checkpoint mobilevit_xxs.pt    timm's or Apple's own names
  mocovit-export --format onnx --dynamic batch --opset 17 --output-dir out
  mocovit-export --summary --json                     what each layer costs; writes no file
"""

PARITY_EXAMPLES = """examples:
  mocovit-parity build/mocovit_1_0_224_fp32.tflite
  mocovit-parity build/*.onnx build/*.tflite --json
  mocovit-parity build/mocovit_1_0_224_fp16.tflite --target emulated      fp16 on an emulated Cortex-A76
  mocovit-parity build/mocovit_1_0_224_fp32.tflite --bisect               each layer by itself; needs torch
  mocovit-parity build/mocovit_1_0_224_fp32.tflite --ready                what keeps it off GPU and XNNPACK
  mocovit-parity build/*.onnx build/*.tflite --init                       writes parity.toml
  mocovit-parity --contract parity.toml --report-dir reports

Needs the file, its .json and its .golden.npz, and the file's runtime; not torch.
"""


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises `UsageError` instead of printing the usage and exiting."""

    def error(self, message: str) -> NoReturn:
        hint = ""
        if message.startswith("unrecognized arguments: --"):
            import difflib  # late: --help does not need it

            word = message.split()[2].partition("=")[0]
            close = difflib.get_close_matches(word, self._option_string_actions, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
        raise UsageError(f"{message}{hint} (see {self.prog} --help)")


class Version(argparse.Action):
    """Print the version, which is read from the installed package only now."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        sys.stdout.write(f"{parser.prog} {version('mocovit-deploy')}\n")
        parser.exit()


def _parser(program: str, description: str, examples: str) -> Parser:
    parser = Parser(
        prog=program,
        description=description,
        epilog=f"{examples}\n{STATUSES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON report on stdout")
    parser.add_argument("--verbose", action="store_true", help="show converters' output and tracebacks")
    parser.add_argument("--version", action=Version, nargs=0, help="print the version and stop")
    return parser


def export_parser() -> Parser:
    """The parser of mocovit-export."""
    parser = _parser("mocovit-export", "Write a PyTorch network as proven files.", EXPORT_EXAMPLES)
    parser.usage = "mocovit-export [OPTION ...]"
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="a TOML file of these options; the command line wins (docs/config.md)",
    )
    parser.add_argument(
        "--sweep",
        type=Path,
        metavar="FILE",
        help="export each network of a TOML file in each format and precision, as one table (docs/sweep.md)",
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="run --sweep on the Ray cluster at ADDRESS; auto: this machine's cluster",
    )
    parser.add_argument(
        "--completion",
        choices=SHELLS,
        help="print a script that completes these options in the shell, and stop",
    )
    add_export_options(parser)
    return parser


def parity_parser() -> Parser:
    """The parser of mocovit-parity."""
    parser = _parser("mocovit-parity", "Check files against the network they came from.", PARITY_EXAMPLES)
    add = parser.add_argument
    add("files", type=Path, nargs="*", metavar="FILE", help="written by mocovit-export")
    add(
        "--target",
        type=str.lower,
        metavar="NAME",
        help=f"where to execute: {', '.join(TARGETS)} (default: {TARGETS[0]})",
    )
    add("--layers", action="store_true", help="compare every layer, and name the first that diverges")
    add(
        "--bisect",
        action="store_true",
        help="like --layers, but give each layer the original's values as inputs",
    )
    add("--ready", action="store_true", help="run nothing; list what delegates leave to the CPU, and why")
    add(
        "--deadline-s",
        type=positive,
        metavar="S",
        help="stop reading and running a file after S seconds (default: 60, and 4 more for every MB)",
    )
    add_accuracy(parser)
    add("--contract", type=Path, metavar="FILE", help="check what a parity.toml promises (docs/contract.md)")
    add("--init", action="store_true", help="measure the files, and write a first contract for them")
    add("--output-dir", type=Path, metavar="DIR", help="with --contract: find or export its files in DIR")
    add(
        "--report-dir",
        type=Path,
        metavar="DIR",
        help="with --contract: write reports in JSON, JUnit XML and Markdown to DIR",
    )
    add("--fresh", action="store_true", help="with --contract: export every file again")
    return parser
