"""The options of mocovit-export in groups, as --help shows them. Nothing heavy is imported here."""

from __future__ import annotations

import argparse
from pathlib import Path

from mocovit_deploy.choices import DEVICES, FORMATS, STRIDES, TARGETS
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
from mocovit_deploy.quantization.recipes import RECIPES

Options = argparse.ArgumentParser | argparse._ArgumentGroup


def add_export_options(parser: argparse.ArgumentParser) -> None:
    """Add all groups to `parser`, each by its function."""
    for title, add_group in GROUPS:
        add_group(parser.add_argument_group(title))


def _network(group: Options) -> None:
    add = group.add_argument
    add(
        "--model",
        default="mocovit_1_0",
        metavar="NAME",
        help="which network: mocovit_1_0 (default; also _0_5, _0_75, _1_3, _1_5), mocovit_1_0_seg, "
        "efficientvit_b0_seg (to _b3_seg), mocovit_1_0_retinanet, ghostnet_1_0_retinanet, "
        "mocovit_1_0_yolact, ghostnet_1_0_yolact, timm/NAME, package.module:function, "
        "path/to/file.py:function, or a program.pt2 of torch.export.save",
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
    add("--prefer-ema", action="store_true", help="take the averaged weights of a checkpoint that has both")
    add(
        "--unsafe-pickle",
        action="store_true",
        help="read files that hold pickled objects: this RUNS the code that is in them",
    )
    add("--pretrained", action="store_true", help="let timm download its weights")
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
        help="return the backbone's feature maps at these strides (default: "
        f"{','.join(map(str, STRIDES))}) as stride_8, ... instead of classes; for mocovit_* and timm/NAME",
    )
    add(
        "--boxes",
        type=str.lower,
        metavar="FORM",
        help="outputs of detectors and _yolact: raw (default; logits, and locations relative to anchors), or "
        "decoded (probabilities, and boxes from 0 to 1 within the image); suppressed: raw, and beside each "
        "detector's file a second one that suppresses boxes itself",
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
        help="one number for a square, or HEIGHTxWIDTH (default: the network's own, from timm's data "
        "configuration; else 224)",
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
        help="one number, or one for each channel: the network gets (pixel * scale - mean) / std",
    )
    add(
        "--std",
        type=positive_numbers,
        metavar="LIST",
        help="like --mean; default of both: the network's own, else ImageNet's",
    )
    add("--scale", type=not_zero, metavar="X", help="factor for pixels 0..255, as 1/255")
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
        help="names of the file's inputs (default: the parameters of forward)",
    )
    add(
        "--output-names",
        type=words,
        default=(),
        metavar="LIST",
        help="names of the file's outputs (default: the keys of forward's dictionary; logits or output)",
    )


def _files(group: Options) -> None:
    add = group.add_argument
    add(
        "--format",
        type=choices,
        metavar="LIST",
        help=f"one or more of {', '.join(FORMATS)} (default: all)",
    )
    add(
        "--precision",
        type=choices,
        metavar="LIST",
        help=f"one or more of {', '.join(one.name for one in RECIPES)} (default: {RECIPES[0].name}), or "
        "auto: the fastest that keeps the accuracy; not every format has all",
    )
    add(
        "--layout",
        type=str.lower,
        metavar="NAME",
        help="layout of images in TFLite files: nhwc (default) or nchw",
    )
    add("--opset", type=positive, metavar="N", help="opset of ONNX files (default: 18)")
    add(
        "--minimum-deployment-target",
        metavar="NAME",
        help="the oldest system that Core ML files must run on (default: iOS16)",
    )
    add(
        "--converter",
        type=str.lower,
        metavar="NAME",
        help="what writes TFLite files: direct or litert-torch (default: direct, else litert-torch)",
    )
    add("--no-simplify", action="store_true", help="do not run onnxsim on ONNX files")
    add("--without", type=str.lower, action="append", metavar="PASS", help="leave a pass out")
    add("--output-dir", type=Path, metavar="DIR", help="the folder to write to (default: build)")


def _int8(group: Options) -> None:
    add = group.add_argument
    add(
        "--calibration",
        metavar="SOURCE",
        help="images for the ranges of int8 activations: a folder, an .npz, module:function, or random",
    )
    add("--calibration-images", type=positive, metavar="N", help="use at most N images (default: 128)")
    add(
        "--ranges",
        type=str.lower,
        metavar="NAME",
        help="how ranges are chosen: minmax (default), percentile or mse",
    )
    add(
        "--bias-correction",
        action="store_true",
        help="subtract the mean error of rounded weights from each bias",
    )
    add("--strict", action="store_true", help="stop at a file of the calibration folder that is not an image")


def _search(group: Options) -> None:
    add = group.add_argument
    add(
        "--device",
        type=str.lower,
        metavar="NAME",
        help=f"compare times modelled for: {', '.join(DEVICES)} (default)",
    )
    add("--runtime", type=str.lower, metavar="NAME", help="compare times in: litert (default) or tflite")
    add(
        "--judging-images",
        type=positive,
        metavar="N",
        help="judge accuracy on N further images of --calibration (default: 1000)",
    )


def _checks(group: Options) -> None:
    add = group.add_argument
    add("--no-verify", action="store_true", help="do not check the files; they are then not proven")
    add_accuracy(group)


def _described(group: Options) -> None:
    add = group.add_argument
    add(
        "--labels",
        type=Path,
        metavar="FILE",
        help="a text file with the name of one class on each line",
    )
    add("--author", metavar="TEXT", help="who made the network")
    add("--licence", "--license", metavar="TEXT", help="the licence of its weights")
    add("--model-version", metavar="TEXT", help="the version of the network")
    add("--description", metavar="TEXT", help="what the network does")


def _beside(group: Options) -> None:
    add = group.add_argument
    add("--app-code", action="store_true", help="write Kotlin, Swift and Python that load each file")
    add("--report", type=Path, metavar="FILE", help="write an HTML page: which file to take, and why")
    add("--card", type=Path, metavar="FILE", help="write a model card of the same facts in Markdown")
    add(
        "--measure",
        type=str.lower,
        metavar="NAME",
        help=f"time or count each proven file on one of: {', '.join(TARGETS)}",
    )
    add("--summary", action="store_true", help="print what each layer costs, and write no file")


def add_accuracy(group: Options) -> None:
    """The options that both commands take for labelled images."""
    add = group.add_argument
    add(
        "--data",
        metavar="SOURCE",
        help="labelled images, to compare each file's accuracy with the original's: a folder with one folder "
        "for each class, an .npz, or module:function",
    )
    add("--images", type=positive, metavar="N", help="use the first N images of --data (default: all)")
    add(
        "--max-drop",
        type=share_of_points,
        metavar="POINTS",
        help="with --data or --precision auto: the most accuracy that may be lost, by the upper end of the "
        "95 %% interval (default: no limit with --data, 0.5 with auto)",
    )


GROUPS = (
    ("the network and its weights", _network),
    ("the network's inputs and outputs", _inputs),
    ("files to write", _files),
    ("ranges of activations, from images", _int8),
    ("how --precision auto searches", _search),
    ("checks", _checks),
    ("metadata inside every file", _described),
    ("beside the files", _beside),
)
