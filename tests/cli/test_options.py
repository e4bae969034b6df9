"""Every option of mocovit-export, with every source: it shows in what is made, or is refused by name.

No option is ever ignored in silence. A new option fails here until it stands in one of the tables.
"""

import argparse
import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import mocovit_deploy
from mocovit_deploy.cli import main as cli
from mocovit_deploy.cli.parsers import export_parser, parity_parser
from mocovit_deploy.cli.requests import ONE_FORMAT, export_request, require_honoured
from mocovit_deploy.errors import MissingToolError, UsageError
from mocovit_deploy.models import SOURCES
from mocovit_deploy.models.load import load_network
from mocovit_deploy.models.timm import import_timm
from mocovit_deploy.spec import AccuracyRequest, CalibrationRequest, ExportRequest, SearchRequest

TINY = "tiny_networks:tiny"
NETWORKS = {
    "mocovit": "mocovit_0_5",
    "segmentation": "mocovit_0_5_seg",
    "detection": "mocovit_0_5_retinanet",
    "instances": "mocovit_0_5_yolact",
    "timm": "timm/test_efficientnet",
    "program": "small.pt2",
    "user": TINY,
    "torchvision": "torchvision.models:squeezenet1_1",
}
"""One network of each source; torchvision's are functions of a package, as the user's own."""

HOW = {"scale": "1/128", "mean": "0.1,0.2,0.3", "std": "2", "colour_order": "BGR"}
MODEL_OPTIONS = {
    "model_arg": [],  # a value for each source, below
    "checkpoint": ["own.pt"],
    "prefer_ema": ["own.pt"],
    "normalize": [],
    "unsafe_pickle": ["objects.pt"],
    "pretrained": [],
    "num_classes": ["7"],
    "features": ["8"],
    "boxes": ["decoded"],
    "image_size": ["64"],
    "batch": ["2"],
    "seed": ["3"],
    "input_names": ["picture"],
    "output_names": ["scores"],
    **{name: [value] for name, value in HOW.items()},
}
ARGUMENTS = {
    "mocovit": "dropout=0.5",
    "segmentation": "upsampling=bilinear",
    "detection": "depth=1",
    "instances": "prototypes=4",
    "timm": "global_pool=max",
    "program": "width=2",
    "user": "classes=4",
    "torchvision": "dropout=0.25",
}
"""A --model-arg that each source's network takes, but for the program, which takes none."""

AUTO = ["--precision", "auto", "--calibration", "a"]
STATIC = ["--precision", "static_wi8_ai8"]
REQUEST_OPTIONS = {
    "format": (["--format", "tflite"], "formats", ("tflite",)),
    "precision": (["--precision", "FP16"], "precisions", ("fp16",)),
    "layout": (["--layout", "NCHW"], "layout", "nchw"),
    "opset": (["--opset", "17"], "opset", 17),
    "minimum_deployment_target": (
        ["--minimum-deployment-target", "iOS17"],
        "minimum_deployment_target",
        "iOS17",
    ),
    "converter": (["--converter", "direct"], "converter", "direct"),
    "no_simplify": (["--no-simplify"], "simplify", False),
    "deploy_hooks": (["--deploy-hooks"], "deploy_hooks", True),
    "without": (["--without", "fold_scale"], "without", ("fold_scale",)),
    "no_verify": (["--no-verify"], "verify", False),
    "dynamic": (["--dynamic", "BATCH"], "dynamic_batch", True),
    "labels": (["--labels", "labels.txt"], "labels", ("cat", "dog")),
    "author": (["--author", "me"], "author", "me"),
    "licence": (["--licence", "MIT"], "licence", "MIT"),
    "model_version": (["--model-version", "2"], "model_version", "2"),
    "description": (["--description", "small"], "description", "small"),
    "app_code": (["--app-code"], "app_code", True),
    "calibration": ([*STATIC, "--calibration", "random"], "calibration", CalibrationRequest("random")),
    "calibration_images": (
        [*STATIC, "--calibration", "a", "--calibration-images", "7"],
        "calibration",
        CalibrationRequest("a", 7),
    ),
    "ranges": (
        [*STATIC, "--calibration", "a", "--ranges", "MSE"],
        "calibration",
        CalibrationRequest("a", ranges="mse"),
    ),
    "bias_correction": (
        [*STATIC, "--calibration", "a", "--bias-correction"],
        "calibration",
        CalibrationRequest("a", bias_correction=True),
    ),
    "device": ([*AUTO, "--device", "SNAPDRAGON_855"], "search", SearchRequest("snapdragon_855")),
    "runtime": ([*AUTO, "--runtime", "tflite"], "search", SearchRequest(runtime="tflite")),
    "max_drop": ([*AUTO, "--max-drop", "1.5"], "search", SearchRequest(max_drop=1.5)),
    "judging_images": ([*AUTO, "--judging-images", "9"], "search", SearchRequest(images=9)),
    "strict": (
        [*STATIC, "--calibration", "a", "--strict"],
        "calibration",
        CalibrationRequest("a", 128, True),
    ),
    "data": (["--data", "a"], "accuracy", AccuracyRequest("a")),
    "images": (["--data", "a", "--images", "9"], "accuracy", AccuracyRequest("a", 9)),
    "output_dir": (["--output-dir", "here"], "output_dir", Path("here")),
}
"""Words, and the field of the request that they must show in; tests of the exporters show what fields do."""

ELSEWHERE = {
    "help",
    "version",
    "json",
    "verbose",
    "model",
    "summary",
    "report",
    "card",
    "measure",
    "config",
    "completion",
    "sweep",
    "ray",
}
"""Tested with the commands themselves."""


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, image):
        return self.conv(image).mean((2, 3))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where all files lie that the options name."""
    made = tmp_path_factory.mktemp("options")
    example = torch.zeros(1, 3, 32, 32)
    torch.export.save(torch.export.export(Small().eval(), (example,)), made / "small.pt2")
    (made / "labels.txt").write_text("cat\ndog\n")
    return made


def request_of(*words):
    given = export_parser().parse_args([str(word) for word in words])
    require_honoured(given)
    return export_request(given)


def option(name):
    return f"--{name.replace('_', '-')}"


def test_every_option_stands_in_a_table():
    there = {action.dest for action in export_parser()._actions}
    assert there == {*MODEL_OPTIONS, *REQUEST_OPTIONS, *ELSEWHERE}
    assert set(NETWORKS) == {*SOURCES, "torchvision"}


@pytest.mark.parametrize("name", REQUEST_OPTIONS)
def test_options_of_files_show_in_the_request(name, folder, monkeypatch):
    monkeypatch.chdir(folder)
    words, field, value = REQUEST_OPTIONS[name]
    assert getattr(request_of(*words), field) == value
    assert getattr(ExportRequest(request_of().model), field) != value


@pytest.mark.parametrize("name", ONE_FORMAT)
def test_an_option_of_one_format_is_refused_for_others(name):
    other = "onnx" if ONE_FORMAT[name] != "onnx" else "coreml"
    with pytest.raises(UsageError, match=f"{option(name)} is for {ONE_FORMAT[name]} files"):
        request_of("--format", other, *REQUEST_OPTIONS[name][0])


@pytest.mark.parametrize(
    "name", [*(one for one in REQUEST_OPTIONS if one != "deploy_hooks"), *HOW, "output_names"]
)
def test_a_summary_refuses_what_changes_files_alone(name):
    words = REQUEST_OPTIONS[name][0] if name in REQUEST_OPTIONS else [option(name), *MODEL_OPTIONS[name]]
    with pytest.raises(UsageError, match=f"--summary writes no file: leave out {option(name)}"):
        cli._export(["--summary", *words])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--prefer-ema"], "--prefer-ema chooses among the weights of a --checkpoint"),
        (["--unsafe-pickle"], "--unsafe-pickle reads a --checkpoint or a .pt2 file"),
        (["--pretrained", "--checkpoint", "a.pt"], "--pretrained and --checkpoint both give the weights"),
        (["--model-arg", "a=1", "--model-arg", "a=2"], "--model-arg a is given twice"),
        (["--features", "--num-classes", "7"], "--features leaves out the head .* leave out --num-classes"),
        (["--features", "--data", "a"], "--features leaves out the head .* leave out --data"),
        (["--calibration", "random"], "--calibration is for precisions with fixed ranges"),
        (["--ranges", "mse"], "--ranges goes with --calibration"),
        (["--bias-correction"], "--bias-correction goes with --calibration"),
        (["--max-drop", "1"], "--max-drop goes with --data or --precision auto"),
        (["--device", "x"], "--device goes with --precision auto"),
        (["--strict"], "--strict goes with --calibration"),
        (["--measure", "emulated", "--no-verify"], "--measure takes files that were checked"),
        (["--measure", "emulate"], "did you mean 'emulated'"),
        (["--summary", "--report", "a.html"], "--summary writes no file: leave out --report"),
        (["--summary", "--card", "a.md"], "--summary writes no file: leave out --card"),
        (["--summary", "--measure", "host"], "--summary writes no file: leave out --measure"),
        (["--calibration-images", "9"], "--calibration-images goes with --calibration"),
        (["--num-classes", "3", "--model-arg", "num_classes=4"], "are both given"),
    ],
)
def test_options_that_leave_each_other_without_effect(words, message):
    with pytest.raises(UsageError, match=message):
        request_of(*words)


@functools.cache
def plain(source):
    """The source's network with no option but a size, to keep it small."""
    return load_network(request_of(*base(source)).model)


def base(source):
    size = [] if source == "program" else ["--image-size", "32"]
    return ["--model", NETWORKS[source], *size]


ALIKE = ("scale", "std", "colour_order", "output_names", "prefer_ema", "unsafe_pickle")
"""Options that all sources share the code of: sources that are slow to build take them in slow tests."""


@pytest.mark.parametrize(
    ("name", "source"),
    [
        pytest.param(
            name,
            source,
            marks=[pytest.mark.slow] if name in ALIKE and source not in ("program", "user") else [],
        )
        for name in MODEL_OPTIONS
        for source in NETWORKS
    ],
)
def test_every_source_honours_or_refuses(name, source, folder, monkeypatch):
    monkeypatch.chdir(folder)
    usual = plain(source)
    words = base(source)
    if name == "model_arg":
        words += ["--model-arg", ARGUMENTS[source]]
    elif name in ("checkpoint", "prefer_ema", "unsafe_pickle"):
        save_weights(usual.module, name)
        given = [] if name == "checkpoint" else [option(name)]
        words += ["--checkpoint", MODEL_OPTIONS[name][0], *given]
    elif name == "pretrained":
        monkeypatch.setattr(import_timm(), "create_model", refuse_to_download)
        words += ["--pretrained"]
    else:
        words += [option(name), *MODEL_OPTIONS[name]]
    try:
        network = load_network(request_of(*words).model)
    except UsageError as refusal:
        assert option(name) in str(refusal) or name == "pretrained"
        assert (name, source) in REFUSED
        return
    assert (name, source) not in REFUSED
    assert SHOWS[name](network, usual)


BOXED = ("detection", "instances")
REFUSED = {
    *(("pretrained", source) for source in NETWORKS),  # timm's for want of a network to download from
    *((name, "program") for name in ("model_arg", "num_classes", "image_size", "batch")),
    *(("features", source) for source in NETWORKS if source not in ("mocovit", "timm")),
    *(("output_names", source) for source in BOXED),  # one name for several outputs
    *(("boxes", source) for source in NETWORKS if source not in BOXED),
    ("num_classes", "user"),  # this one has no such parameter; see tests/models/test_user.py
}


def test_a_size_that_is_no_square():
    asked = request_of("--image-size", "96x192").model.input
    assert (asked.size, asked.width, asked.sides) == (96, 192, (96, 192))
    assert request_of("--image-size", "96X96").model == request_of("--image-size", "96").model
    network = load_network(request_of("--model", TINY, "--image-size", "32x64").model)
    assert network.input.shape == (1, 3, 32, 64)
    assert network.stem == "tiny_32x64"


@pytest.mark.parametrize("text", ["96x", "x96", "0x96", "1x2x3", "-1", "big"])
def test_a_size_that_is_none(text):
    with pytest.raises(UsageError, match="is not a positive whole number or HEIGHTxWIDTH"):
        request_of("--image-size", text)


def classes(network):
    with torch.no_grad():
        found = network.module(*network.inputs.for_capture(0, free_batch=False))
    return next(iter(found.values())).shape[-1] if isinstance(found, dict) else found.shape[-1]


def bilinear(network):
    return network.module.head.upsampling == "bilinear"


def weights(network):
    return torch.cat([value.flatten().double() for value in network.module.parameters()])


def halved(network, usual):
    return torch.allclose(weights(network), weights(usual) / 2)


SHOWS = {
    "model_arg": lambda new, old: str(new.module) != str(old.module) or classes(new) == 4 or bilinear(new),
    "checkpoint": halved,
    "prefer_ema": halved,
    "unsafe_pickle": halved,
    "normalize": lambda new, _: new.input.dtype == "uint8",
    "num_classes": lambda new, _: classes(new) == 7,
    "boxes": lambda new, _: new.task["boxes"] == "decoded",
    "features": lambda new, _: new.output_names == ("stride_8",),
    "image_size": lambda new, _: new.input.size == 64,
    "batch": lambda new, old: new.input.batch == 2 and new.stem == f"{old.stem}_b2",
    "seed": lambda new, _: not np.array_equal(noise(new, 3), noise(new, 0)),
    "input_names": lambda new, _: new.input_names == ("picture",),
    "output_names": lambda new, _: new.output_names == ("scores",),
    "scale": lambda new, old: prepared(new, old, "scale", 1 / 128),
    "mean": lambda new, old: prepared(new, old, "mean", (0.1, 0.2, 0.3)),
    "std": lambda new, old: prepared(new, old, "std", (2.0, 2.0, 2.0)),
    "colour_order": lambda new, old: prepared(new, old, "colour_order", "BGR"),
}
"""How each option shows in the network."""


def prepared(new, old, field, value):
    how = new.input.preprocessing
    rest = {name: getattr(old.input.preprocessing, name) for name in HOW if name != field}
    assumed = tuple(name for name in old.input.preprocessing.assumed if name != field)
    return how == dataclasses.replace(how, **rest, **{field: value}, assumed=assumed)


def noise(network, seed):
    """The last sample that a file is judged on: `run_original` takes the seed of the request."""
    return network.inputs.for_parity(seed)[1][0][-1]


def save_weights(module, name):
    own = module.state_dict()
    half = {key: value / 2 if value.is_floating_point() else value for key, value in own.items()}
    if name == "checkpoint":
        torch.save(half, "own.pt")
    elif name == "prefer_ema":
        torch.save({"state_dict": own, "state_dict_ema": half}, "own.pt")
    else:
        torch.save({"state_dict": half, "arguments": argparse.Namespace(epochs=3)}, "objects.pt")


def refuse_to_download(*_given, pretrained=False, **_named):
    if pretrained:
        raise MissingToolError("no network here")
    raise AssertionError("--pretrained did not arrive")


def test_a_live_module_honours_every_option_of_files(folder, monkeypatch):
    """`mocovit_deploy.export` hands them to the pipeline, and refuses what the module brings along."""
    monkeypatch.chdir(folder)
    asked = {}

    class StoppedError(Exception):
        pass

    def stop(request, *_):
        asked["request"] = request
        raise StoppedError

    monkeypatch.setattr("mocovit_deploy.exporting.pipeline.export_model", stop)
    for words, field, _ in REQUEST_OPTIONS.values():
        value = getattr(request_of(*words), field)
        given = list(value) if isinstance(value, tuple) else value
        with pytest.raises(StoppedError):
            mocovit_deploy.export(Small(), torch.zeros(1, 3, 32, 32), **{field: given})
        assert getattr(asked["request"], field) == value
    said = {"seed": 3, "normalize": True}
    with pytest.raises(StoppedError):
        mocovit_deploy.export(Small(), torch.zeros(1, 3, 32, 32), **said)
    assert {name: getattr(asked["request"].model, name) for name in said} == said
    for name in MODEL_OPTIONS.keys() - said.keys():
        with pytest.raises(UsageError, match=f"unexpected keyword argument '{name}'"):
            mocovit_deploy.export(Small(), torch.zeros(1, 3, 32, 32), **{name: 1})


def test_parity_options_that_do_not_go_together():
    there = {action.dest for action in parity_parser()._actions} - ELSEWHERE
    assert there == {
        "files",
        "target",
        "layers",
        "bisect",
        "deadline_s",
        "contract",
        "output_dir",
        "report_dir",
        "fresh",
        "data",
        "images",
        "max_drop",
        "ready",
        "init",
    }
    for words in (["--target", "host"], ["--fresh"], ["--report-dir", "a"], ["--json"], ["--data", "a"]):
        with pytest.raises(UsageError, match=f"{words[0]} does not go with --init"):
            cli._parity(["a.onnx", "--init", *words])
    with pytest.raises(UsageError, match="--init writes a contract for files"):
        cli._parity(["--init"])
    others = (["--deadline-s", "3"], ["--data", "a"], ["--images", "3"], ["--max-drop", "1"], ["a.onnx"])
    for words in (["--layers"], ["--bisect"], ["--target", "host"], *others):
        with pytest.raises(UsageError, match="does not go with --contract"):
            cli._parity(["--contract", "a.toml", *words])
    for words in (["--output-dir", "a"], ["--report-dir", "a"], ["--fresh"]):
        with pytest.raises(UsageError, match=f"{words[0]} goes with --contract"):
            cli._parity(["a.onnx", *words])
    with pytest.raises(UsageError, match="--deadline-s does not go with --layers"):
        cli._parity(["a.onnx", "--layers", "--deadline-s", "3"])
    for words, why in (
        (["--images", "3"], "--images goes with --data"),
        (["--max-drop", "1"], "--max-drop goes with --data"),
        (["--data", "a", "--target", "adb"], "--data runs files on this host"),
        (["--data", "a", "--bisect"], "--data does not go with --layers"),
    ):
        with pytest.raises(UsageError, match=why):
            cli._parity(["a.onnx", *words])
