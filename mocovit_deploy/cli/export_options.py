"""The words of mocovit-export in groups, as --help shows them. Only argparse is imported here."""

from __future__ import annotations

import argparse
from pathlib import Path

from mocovit_deploy.choices import DEVICES, FORMATS, TARGETS
from mocovit_deploy.cli.option_value import (
    choices,
    colour_order,
    free_dimension,
    image_size,
    not_zero,
    numbers,
    pair,
    positive,
    positive_numbers,
    seed,
    share_of_points,
    strides,
    words,
)
from mocovit_deploy.spec import STRIDES

Options = argparse.ArgumentParser | argparse._ArgumentGroup


def add_export_options(parser: argparse.ArgumentParser) -> None:
    """All of them, a function for each group."""
    for title, add_group in GROUPS:
        add_group(parser.add_argument_group(title))


def _network(group: Options) -> None:
    add = group.add_argument
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
        "--features",
        nargs="?",
        type=strides,
        const=STRIDES,
        default=(),
        metavar="STRIDES",
        help="give the maps of the backbone at these strides (8,16,32 where none are named), named stride_8, "
        "..., in place of classes: mocovit_* and timm/NAME",
    )
    add(
        "--deploy-hooks",
        action="store_true",
        help="first run the network's own switch_to_deploy, reparameterize or fuse, on a copy",
    )
    add("--seed", type=seed, default=0, metavar="N", help="for random weights and random inputs")


def _inputs(group: Options) -> None:
    add = group.add_argument
    add(
        "--image-size",
        "--imgsz",
        type=image_size,
        metavar="PIXELS",
        help="one number, or HEIGHTxWIDTH (default: the network's own: timm's data configuration; 224 "
        "elsewhere)",
    )
    add("--batch", type=positive, metavar="N", help="images per run (default: 1)")
    add(
        "--dynamic",
        type=free_dimension,
        metavar="batch",
        help="leave the batch to the caller of the file (ONNX)",
    )
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


def _files(group: Options) -> None:
    add = group.add_argument
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
        help="of fp32 (default), fp16, fp16_weights, static_wi8_ai8, static_wi8_ai8_fp16, static_wi8_ai16, "
        "mixed_wi8_ai8, mixed_wi8_ai8_fp16, dynamic_wi8_afp32, weight_only_wi8_afp32, weight_only_wi8_afp16, "
        "weight_only_wp6_afp16, or auto: the fastest that keeps the "
        "accuracy; not every format has all",
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
    add("--without", type=str.lower, action="append", metavar="PASS", help="leave a pass out")
    add("--output-dir", type=Path, metavar="DIR", help="default: build")


def _int8(group: Options) -> None:
    add = group.add_argument
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


def _search(group: Options) -> None:
    add = group.add_argument
    add("--device", type=str.lower, metavar="NAME", help=f"of auto: {', '.join(DEVICES)} (default)")
    add("--runtime", type=str.lower, metavar="NAME", help="of auto: litert (default) or tflite")
    add(
        "--judging-images",
        type=positive,
        metavar="N",
        help="of auto: further images of --calibration to judge by (default: 1000)",
    )


def _checks(group: Options) -> None:
    add = group.add_argument
    add("--no-verify", action="store_true", help="do not check the files (they are not proven then)")
    add_accuracy(group)


def _described(group: Options) -> None:
    add = group.add_argument
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


def _beside(group: Options) -> None:
    add = group.add_argument
    add("--app-code", action="store_true", help="write Kotlin, Swift and Python that load each file")
    add("--report", type=Path, metavar="FILE", help="also write a page: which file to take, and why (HTML)")
    add("--card", type=Path, metavar="FILE", help="also write a model card of the same facts (Markdown)")
    add(
        "--measure",
        type=str.lower,
        metavar="NAME",
        help=f"time or count each proven file on: {', '.join(TARGETS)}",
    )
    add("--summary", action="store_true", help="print what each layer costs, and write no file")


def add_accuracy(group: Options) -> None:
    """The options that both commands take for labelled images."""
    add = group.add_argument
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


GROUPS = (
    ("which network, with which weights", _network),
    ("what the network takes", _inputs),
    ("what is written", _files),
    ("ranges of activations, from images", _int8),
    ("of --precision auto", _search),
    ("what must hold", _checks),
    ("written into every file", _described),
    ("written or printed beside the files", _beside),
)
