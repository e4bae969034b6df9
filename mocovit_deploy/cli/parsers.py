"""The words of mocovit-export and mocovit-parity, with examples. Only argparse is imported here."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from mocovit_deploy.choices import DEVICES, FORMATS, TARGETS
from mocovit_deploy.cli.option_value import (
    choices,
    colour_order,
    free_dimension,
    not_zero,
    numbers,
    pair,
    positive,
    positive_numbers,
    seed,
    share_of_points,
    words,
)
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
  mocovit-parity build/mocovit_1_0_224_fp32.tflite --bisect               every layer, alone; needs torch
  mocovit-parity build/mocovit_1_0_224_fp32.tflite --ready                what keeps it off GPU and XNNPACK
  mocovit-parity --contract parity.toml --report-dir reports

Needs the file, its .json and its .golden.npz, and the file's runtime; not torch.
"""


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose complaints are `UsageError`s: one line, like every other mistake."""

    def error(self, message: str) -> NoReturn:
        hint = ""
        if message.startswith("unrecognized arguments: --"):
            import difflib  # --help does without it

            word = message.split()[2].partition("=")[0]
            close = difflib.get_close_matches(word, self._option_string_actions, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
        raise UsageError(f"{message}{hint} (see {self.prog} --help)")


class Version(argparse.Action):
    """Print the version, read from the installed package only when it is asked for."""

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
    """What mocovit-export takes."""
    parser = _parser("mocovit-export", "Write a PyTorch network as proven files.", EXPORT_EXAMPLES)
    add = parser.add_argument
    add(
        "--model",
        default="mocovit_1_0",
        metavar="NAME",
        help="which network: mocovit_1_0 (default; also _0_5, _0_75, _1_3, _1_5), timm/NAME, "
        "package.module:function, path/to/file.py:function, or a program.pt2 of torch.export.save",
    )
    add(
        "--model-arg",
        type=pair,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the network",
    )
    add("--checkpoint", type=Path, metavar="FILE", help="a state dict: .pt, .pth or .safetensors")
    add("--prefer-ema", action="store_true", help="of a checkpoint with averaged weights too, take those")
    add(
        "--unsafe-pickle",
        action="store_true",
        help="read files that hold pickled objects: this RUNS the code that is in them",
    )
    add("--pretrained", action="store_true", help="weights that timm downloads")
    add(
        "--num-classes",
        type=positive,
        metavar="N",
        help="default: the network's own (mocovit: 1000)",
    )
    add(
        "--image-size",
        "--imgsz",
        type=positive,
        metavar="PIXELS",
        help="default: the network's own (timm's data configuration; 224 elsewhere)",
    )
    add("--batch", type=positive, metavar="N", help="images per run (default: 1)")
    add(
        "--mean",
        type=numbers,
        metavar="LIST",
        help="of the images, a channel or all: (pixel * scale - mean) / std",
    )
    add(
        "--std",
        type=positive_numbers,
        metavar="LIST",
        help="default: the network's own, or assumed",
    )
    add("--scale", type=not_zero, metavar="X", help="of pixels 0..255, as 1/255")
    add("--colour-order", "--color-order", type=colour_order, metavar="ORDER", help="RGB or BGR")
    add(
        "--normalize",
        action="store_true",
        help="put scale, mean, std and colour order into the file, which then takes pixels 0..255 in RGB",
    )
    add(
        "--input-names",
        type=words,
        default=(),
        metavar="LIST",
        help="default: forward's parameters",
    )
    add(
        "--output-names",
        type=words,
        default=(),
        metavar="LIST",
        help="default: keys; logits or output",
    )
    add(
        "--dynamic",
        type=free_dimension,
        metavar="batch",
        help="leave the batch to the caller of the file (ONNX)",
    )
    add("--seed", type=seed, default=0, metavar="N", help="for random weights and random inputs")
    add(
        "--format",
        type=choices,
        metavar="LIST",
        help=f"of {', '.join(FORMATS)} (default: all)",
    )
    add(
        "--precision",
        type=choices,
        metavar="LIST",
        help="of fp32 (default), fp16, fp16_weights, static_wi8_ai8, static_wi8_ai8_fp16, mixed_wi8_ai8, "
        "mixed_wi8_ai8_fp16, dynamic_wi8_afp32, weight_only_wi8_afp32, weight_only_wi8_afp16, "
        "weight_only_wp6_afp16, or auto: the fastest that keeps the "
        "accuracy; not every format has all",
    )
    add(
        "--calibration",
        metavar="SOURCE",
        help="images for the ranges of int8 activations: a folder, an .npz, module:function, or random",
    )
    add("--calibration-images", type=positive, metavar="N", help="at most so many (default: 128)")
    add(
        "--ranges", type=str.lower, metavar="NAME", help="of activations: minmax (default), percentile or mse"
    )
    add("--bias-correction", action="store_true", help="take the mean error of rounded weights off each bias")
    add("--strict", action="store_true", help="stop at a file of the calibration folder that is no image")
    add("--device", type=str.lower, metavar="NAME", help=f"of auto: {', '.join(DEVICES)} (default)")
    add("--runtime", type=str.lower, metavar="NAME", help="of auto: litert (default) or tflite")
    add(
        "--judging-images",
        type=positive,
        metavar="N",
        help="of auto: further images of --calibration to judge by (default: 1000)",
    )
    add(
        "--layout",
        type=str.lower,
        metavar="NAME",
        help="of images in TFLite files: nhwc (default) or nchw",
    )
    add("--opset", type=positive, metavar="N", help="of ONNX files (default: 18)")
    add("--minimum-deployment-target", metavar="NAME", help="of Core ML files (default: iOS16)")
    add(
        "--converter",
        type=str.lower,
        metavar="NAME",
        help="of TFLite files: direct, or litert-torch (default: direct where it can)",
    )
    add("--no-simplify", action="store_true", help="leave onnxsim out")
    add(
        "--deploy-hooks",
        action="store_true",
        help="first run the network's own switch_to_deploy, reparameterize or fuse, on a copy",
    )
    add("--without", type=str.lower, action="append", metavar="PASS", help="leave a pass out")
    add("--no-verify", action="store_true", help="do not check the files (they are not proven then)")
    add(
        "--labels",
        type=Path,
        metavar="FILE",
        help="names of the classes, one a line: written into every file",
    )
    add("--author", metavar="TEXT", help="written into every file")
    add("--licence", "--license", metavar="TEXT", help="written into every file")
    add("--model-version", metavar="TEXT", help="written into every file")
    add("--description", metavar="TEXT", help="written into every file")
    add("--app-code", action="store_true", help="write Kotlin, Swift and Python that load each file")
    _add_accuracy(parser)
    add("--output-dir", type=Path, metavar="DIR", help="default: build")
    add("--report", type=Path, metavar="FILE", help="also write a page: which file to take, and why (HTML)")
    add("--card", type=Path, metavar="FILE", help="also write a model card of the same facts (Markdown)")
    add(
        "--measure",
        type=str.lower,
        metavar="NAME",
        help=f"time or count each proven file on: {', '.join(TARGETS)}",
    )
    add("--summary", action="store_true", help="print what each layer costs, and write no file")
    return parser


def _add_accuracy(parser: Parser) -> None:
    add = parser.add_argument
    add(
        "--data",
        metavar="SOURCE",
        help="labelled images, to compare each file's accuracy with the original's: a folder of one folder a "
        "class, an .npz, or module:function",
    )
    add("--images", type=positive, metavar="N", help="of --data (default: all)")
    add(
        "--max-drop",
        type=share_of_points,
        metavar="POINTS",
        help="of --data and --precision auto: accuracy that may be lost, by the upper end of the 95 %% "
        "interval (default: anything on --data, 0.5 of auto)",
    )


def parity_parser() -> Parser:
    """What mocovit-parity takes."""
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
        "--bisect", action="store_true", help="--layers, with each layer run alone from the original's values"
    )
    add("--ready", action="store_true", help="run nothing: say what delegates will leave to the CPU, and why")
    add(
        "--deadline-s",
        type=positive,
        metavar="S",
        help="stop reading and running a file after (default: 60 and 4 for every MB)",
    )
    _add_accuracy(parser)
    add("--contract", type=Path, metavar="FILE", help="check what a parity.toml promises (docs/contract.md)")
    add("--output-dir", type=Path, metavar="DIR", help="of a contract: its files are found or exported there")
    add("--report-dir", type=Path, metavar="DIR", help="of a contract: write JSON, JUnit XML and Markdown")
    add("--fresh", action="store_true", help="of a contract: export every file anew")
    return parser
