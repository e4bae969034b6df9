import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from pages import require_whole_page
from tiny_networks import tiny

from mocovit_deploy.cli import main as cli
from mocovit_deploy.cli import parsers as words

TINY = ["--model", "tiny_networks:tiny", "--image-size", "32"]
MAIN = "from mocovit_deploy.cli.main import export_main; sys.exit(export_main())"
HELPERS = str(Path(__file__).parents[1] / "helpers")


def run(capfd, *words, program="export"):
    """Exit status, stdout, stderr of a command run in this process."""
    main = {"export": cli._export, "parity": cli._parity}[program]
    status = cli.run_command(f"mocovit-{program}", main, [str(word) for word in words])
    out, err = capfd.readouterr()
    return status, out, err


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    assert (
        cli.run_command(
            "mocovit-export", cli._export, [*TINY, "--format", "onnx", "--output-dir", str(folder)]
        )
        == 0
    )
    return folder / "tiny_32_fp32.onnx"


def test_export_prints_the_verdict_and_where_the_weights_are_from(tmp_path, capfd):
    status, out, err = run(capfd, *TINY, "--format", "onnx", "--output-dir", tmp_path)
    assert status == 0
    assert "fold_batchnorm" in out
    assert "tiny_32_fp32.onnx" in out
    assert " pass" in out
    assert "compared with the original network in float64 on 8 samples; tolerance 1e-05" in out
    assert "next: mocovit-bench run " in out
    assert out.startswith(f"tiny, weights as {TINY[1]} gives them\n")
    assert err.startswith("note: the scale, mean, std, colour order of its images are assumed: ")
    assert err.endswith("say so with --scale, --mean, --std, --colour-order\n")
    assert err.count("\n") == 1


def test_json(tmp_path, capfd):
    page, card = tmp_path / "report.html", tmp_path / "card.md"
    words = ["--output-dir", tmp_path, "--report", page, "--card", card, "--json"]
    status, out, _ = run(capfd, *TINY, "--format", "onnx", *words)
    report = json.loads(out)
    assert status == 0
    text = page.read_text()
    require_whole_page(text)
    assert "ONNX Runtime: " in text
    assert "tiny_32_fp32.onnx" in text.replace("<wbr>", "")
    assert "layers within" in text
    assert "tiny\\_32\\_fp32.onnx" in card.read_text()
    assert report["files"][0]["measured"] is None
    assert report["schema_version"] == 1
    assert report["files"][0]["parity"]["verdict"] == "pass"
    assert report["files"][0]["parity"]["tolerance"]["max_error"] == 1e-5
    assert report["passes"][1]["name"] == "fold_batchnorm"
    assert report["passes"][1]["changes"][0]["where"]
    assert report["peak_memory_bytes"] > 1e8
    assert set(report["seconds"]) >= {"capture", "passes", "onnx fp32", "parity onnx fp32"}


@pytest.mark.slow
def test_a_page_of_a_free_batch_says_what_could_not_be_shown(tmp_path, capfd):
    page = tmp_path / "report.html"
    words = ["--format", "onnx", "--dynamic", "batch", "--output-dir", tmp_path, "--report", page]
    assert run(capfd, *TINY, *words)[0] == 0
    text = page.read_text()
    require_whole_page(text)
    assert "layers not run: with --dynamic batch its values have no fixed shapes" in text
    assert "MACs" not in text


def test_a_checkpoint_is_used_and_named(tmp_path, capfd):
    torch.save(tiny().state_dict(), tmp_path / "mine.pt")
    status, out, err = run(
        capfd,
        *TINY,
        "--checkpoint",
        tmp_path / "mine.pt",
        "--format",
        "onnx",
        "--output-dir",
        tmp_path,
        "--seed",
        5,
    )
    assert status in (0, 4), "fresh BatchNorm may make a network whose output hardly depends on its input"
    assert "weights mine.pt, sha256" in out
    assert "random" not in err.replace("random 0", "")


def test_summary(capfd):
    status, out, _ = run(capfd, "--summary")
    assert status == 0
    assert "5,300,268  146,732,592" in out
    assert "MACs with attention products:            149,805,872" in out
    status, out, _ = run(capfd, "--summary", "--json")
    report = json.loads(out)
    assert report["total"]["attention_macs"] == 3_073_280
    assert sum(layer["parameters"] for layer in report["layers"]) == 5_300_268


def test_parity_repeats_the_check(exported, capfd):
    status, out, _ = run(capfd, exported, program="parity")
    assert status == 0
    assert "pass" in out
    status, out, _ = run(capfd, exported, "--json", program="parity")
    assert json.loads(out)["files"][0]["verdict"] == "pass"


def test_parity_fails_on_a_changed_file_and_still_checks_the_others(exported, tmp_path, capfd):
    for path in exported.parent.glob("tiny*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    import onnx

    changed = tmp_path / exported.name
    model = onnx.load(changed)
    weight = next(t for t in model.graph.initializer if t.name.endswith("classifier.weight"))
    weight.raw_data = bytes(len(weight.raw_data))
    onnx.save(model, changed)
    status, out, err = run(capfd, changed, exported, program="parity")
    assert status == 4
    assert "fail" in out
    assert "pass" in out
    assert "parity fail: logits is off by" in err


BAD = {
    "unknown model": (["--model", "mocovit_10"], "did you mean 'mocovit_1_0'"),
    "unknown format": (["--format", "tflit"], "did you mean 'tflite'"),
    "unknown precision": (["--precision", "fp3"], "did you mean 'fp32'"),
    "unknown layout": (["--layout", "nwhc"], "choose from nhwc, nchw"),
    "unknown pass": (["--without", "fold_batchnorms"], "did you mean 'fold_batchnorm'"),
    "unknown option": (["--formats", "onnx", "--nonsense"], "unrecognized|ambiguous|--nonsense"),
    "no number": (["--image-size", "big"], "'big' is not a positive whole number"),
    "zero": (["--batch", "0"], "'0' is not a positive whole number"),
    "no pair": (["--model-arg", "heads"], "'heads' is not NAME=VALUE"),
    "fixed batch": (["--format", "tflite", "--dynamic", "batch"], "tflite files have a fixed batch"),
    "fixed batches": (["--dynamic", "batch"], "leave out coreml and tflite (--format)"),
    "free height": (
        ["--dynamic", "height"],
        "only batch can (in ONNX files); export once for each --image-size",
    ),
    "opset of the future": (["--opset", "99"], "--opset 99: onnx"),
    "opset of the past": (["--opset", "3"], "--opset 3: onnx"),
    "opset without Relu": (["--opset", "9"], "--opset 9: onnx"),
    "int8": (
        ["--precision", "int8"],
        "coreml has fp32, fp16, static_wi8_ai8, static_wi8_ai8_fp16, weight_only_wi8_afp32, ",
    ),
    "auto without images": (["--format", "tflite", "--precision", "auto"], "give --calibration FOLDER"),
    "auto in onnx": (["--format", "onnx", "--precision", "auto"], "onnx files have no precision 'auto'"),
    "an unknown device": (
        ["--format", "tflite", "--precision", "auto", "--calibration", "random", "--device", "pixel_9"],
        "unknown device",
    ),
    "a drop of nothing": (["--max-drop", "0"], "'0' is not a number above 0"),
    "a precision of another format": (
        ["--precision", "fp16_weights"],
        "onnx files have no precision 'fp16_w",
    ),
    "a misspelt option": (["--precison", "fp16"], "did you mean --precision?"),
    "a model in another case": (["--model", "MoCoViT_10"], "did you mean 'mocovit_1_0'"),
    "a network of timm": (
        ["--model", "resnet50"],
        "did you mean timm/resnet50 or torchvision.models:resnet50?",
    ),
    "weights for a network": (
        ["--model", "whole.pt"],
        "--model file.py:function and this file as --checkpoint",
    ),
    "a file without its function": (["--model", "net.py"], "as in net.py:small; it has small, large"),
    "unknown system": (["--minimum-deployment-target", "iOS14"], "ML programs need iOS 15"),
    "seed below zero": (["--seed", "-1"], "'-1' is not a whole number"),
    "seed too large": (["--seed", "9223372036854775808"], "is not a whole number from 0 to 2^63 - 1"),
    "no checkpoint": (["--checkpoint", "/nowhere/a.pt"], "/nowhere/a.pt: no such file"),
    "no place": (["--output-dir", "/proc/nowhere"], "cannot write there"),
    "empty format": (["--format", ","], "--format"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_words_give_one_line_and_exit_2(name, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text("def small(): ...\ndef large(): ...\ndef _own(): ...\n")
    words, message = BAD[name]
    status, out, err = run(capfd, *words)
    assert status == 2
    assert out == ""
    assert err.startswith("mocovit-export: error: ")
    assert err.count("\n") == 1, err
    assert any(part in err for part in message.split("|")), err


def test_outputs_of_changing_shape_exit_3(tmp_path, capfd):
    (tmp_path / "counting.py").write_text(
        "from torch import nn\nclass Counting(nn.Conv2d):\n    def forward(self, x):\n"
        "        return super().forward(x).relu().nonzero()\n"
        "def net():\n    return Counting(3, 8, 3)\n"
    )
    status, out, err = run(capfd, "--model", f"{tmp_path / 'counting.py'}:net", "--image-size", "32")
    assert (status, out) == (3, "")
    assert "the shape of logits depends on the input's values" in err
    assert err.count("\n") == 1


def test_nothing_is_said_to_be_written_where_nothing_was(tmp_path, capfd, monkeypatch):
    from exporters import onnx
    from mocovit_deploy.errors import ConversionError

    def fails(*_):
        raise ConversionError("no")

    monkeypatch.setattr(onnx, "export", fails)
    status, out, _ = run(capfd, *TINY, "--format", "onnx", "--output-dir", tmp_path)
    assert status == 3
    assert "nothing written" in out
    assert "written to" not in out
    last = out.splitlines()[-1]
    assert re.match(r"\d+ s in all: ", last)
    assert re.search(r" and \d+ more$", last)
    assert last.count(", ") == 2


def test_a_network_that_cannot_be_captured_exits_3_with_module_and_line(tmp_path):
    (tmp_path / "branchy.py").write_text(
        "from torch import nn\nclass Branchy(nn.Module):\n    def forward(self, x):\n"
        "        if x.sum() > 0:\n            return x.mean((2, 3))\n        return x.amax((2, 3))\n"
        "def net():\n    return nn.Sequential(nn.Conv2d(3, 8, 3), Branchy())\n"
    )
    words = ["--model", f"{tmp_path / 'branchy.py'}:net", "--image-size", "32"]
    command = [sys.executable, "-c", f"import sys; {MAIN}", *words, "--output-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    err = done.stderr
    assert done.returncode == 3
    assert "1 (Branchy)" in err
    assert f"{tmp_path / 'branchy.py'}:4: if x.sum() > 0:" in err
    assert "do not branch on computed values, use torch.where instead" in err
    assert err.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir() if "branchy" not in p.name and "pycache" not in p.name] == []


@pytest.mark.parametrize("missing", ["torch", "onnxscript", "onnxruntime"])
def test_a_missing_extra_exits_8_with_the_command(missing, tmp_path):
    code = f"import sys; sys.modules[{missing!r}] = None; {MAIN}"
    command = [sys.executable, "-c", code, *TINY, "--format", "onnx", "--output-dir", str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": HELPERS}, timeout=120
    )
    assert done.returncode == 8, done.stderr
    assert "pip install '.[" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_existing_files_survive_every_failure(tmp_path, capfd):
    kept = tmp_path / "tiny_32_fp32.onnx"
    kept.write_text("precious")
    run(capfd, *TINY, "--format", "onnx", "--output-dir", tmp_path, "--opset", "3")
    run(capfd, *TINY, "--format", "onnx", "--output-dir", tmp_path, "--checkpoint", tmp_path / "none.pt")
    assert kept.read_text() == "precious"
    assert [p.name for p in tmp_path.iterdir()] == [kept.name]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_killed_command_leaves_no_half_file(how, tmp_path):
    command = [
        sys.executable,
        "-c",
        "import sys; from mocovit_deploy.cli.main import export_main; sys.exit(export_main())",
    ]
    process = subprocess.Popen(
        [*command, *TINY, "--format", "onnx", "--output-dir", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": HELPERS},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(how)
    assert process.wait(60) != 0
    visible = [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")]
    assert visible == []
    if how is not signal.SIGKILL:
        assert not list(tmp_path.iterdir())


def test_an_internal_error_is_one_line_with_a_hint(capfd):
    def broken(_words):
        raise ZeroDivisionError("division by zero")

    assert cli.run_command("mocovit-export", broken, []) == 1
    assert capfd.readouterr().err == (
        "mocovit-export: internal error: ZeroDivisionError: division by zero; "
        "run again with --verbose for the traceback\n"
    )
    assert cli.run_command("mocovit-export", broken, ["--verbose"]) == 1
    assert "Traceback" in capfd.readouterr().err


def test_all_formats_are_the_default_and_help_names_every_word():
    from mocovit_deploy.choices import FORMATS
    from mocovit_deploy.cli.requests import export_request
    from mocovit_deploy.formats import format_named

    parser = words.export_parser()
    given = parser.parse_args([])
    assert export_request(given).formats == FORMATS
    text = parser.format_help()
    assert all(name in text for name in FORMATS)
    assert all(recipe in text for name in FORMATS for recipe in format_named(name).RECIPES)


@pytest.mark.parametrize("program", ["export", "parity"])
def test_help_has_examples_and_statuses_and_imports_nothing_heavy(program):
    code = (
        f"import sys; from mocovit_deploy.cli.main import {program}_main\n"
        f"sys.argv = ['mocovit-{program}', '--help']\n"
        f"try: {program}_main()\nexcept SystemExit: pass\n"
        "print([m for m in ('numpy', 'torch', 'onnx', 'importlib.metadata') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n"), done.stdout[-200:]
    assert "examples:" in done.stdout
    assert "exit status:" in done.stdout


def test_version(capfd):
    with pytest.raises(SystemExit) as caught:
        cli.run_command("mocovit-export", cli._export, ["--version"])
    assert caught.value.code in (0, None)
    assert capfd.readouterr().out.startswith("mocovit-export 0.")


def test_layers_names_what_was_planted(exported, tmp_path, capfd):
    from planting.onnx_file import OnnxSurgeon

    status, out, err = run(capfd, exported, "--layers", program="parity")
    assert status == 0, err
    assert "ghost.up.primary.0" in out
    assert "a pass changed what it computes" in out, "layers without a counterpart are listed"
    spoilt = tmp_path / exported.name
    for suffix in (".json", ".golden.npz"):
        shutil.copyfile(f"{exported}{suffix}", f"{spoilt}{suffix}")
    surgeon = OnnxSurgeon(exported)
    layer = next(one for one in surgeon.layers() if one.mark.startswith("transformer.attention.refiner.0:"))
    layer.bias = layer.bias * 0
    surgeon.put_back(layer)
    surgeon.save(spoilt)
    status, out, err = run(capfd, spoilt, "--bisect", program="parity")
    assert status == 4
    assert "first divergence: transformer.attention.refiner.0 (conv2d)" in err
    assert "shifted, each by one number (a bias)" in err
    assert out.splitlines()[-1].startswith("fail: first divergence: transformer.attention.refiner.0")
    status, out, _ = run(capfd, exported, spoilt, "--bisect", "--json", program="parity")
    assert status == 4
    good, bad = json.loads(out)["files"]
    assert (good["verdict"], good["first_divergence"]) == ("pass", None)
    assert bad["first_divergence"]["module"] == "transformer.attention.refiner.0"
    assert [one["diverges"] for one in bad["layers"]].count(True) == 1, "nothing after it is blamed"


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["no.onnx", "--layers"], 2, "no such file"),
        (["a.onnx", "--bisect", "--target", "emulated"], 2, "--layers runs files on this host"),
        (["--layers"], 2, "give a FILE"),
        (["--contract", "parity.toml", "--bisect"], 2, "does not go with --contract"),
    ],
)
def test_bad_words_for_layers(words, status, message, capfd):
    found, _, err = run(capfd, *words, program="parity")
    assert found == status
    assert message in err
    assert err.count("\n") == 1


def test_ready_says_what_delegates_leave_out_and_that_nothing_was_run(capfd):
    models = Path(__file__).parent.parent / "benchmarks" / "models"
    status, out, _ = run(capfd, models / "split.tflite", "--ready", program="parity")
    assert status == 0
    assert "GPU delegate: " in out
    assert "outside  1 " in out
    assert out.endswith("nothing was run on a GPU or a Neural Engine.\n")
    status, out, _ = run(capfd, models / "split.tflite", "--ready", "--json", program="parity")
    (document,) = json.loads(out)["files"]
    assert document["run"] is False
    assert {one["delegate"] for one in document["delegates"]} == {
        "GPU delegate",
        "XNNPACK, fp32",
        "XNNPACK, fp16",
    }
    onnx = (models / "tiny.onnx", "--ready")
    status, _, err = run(capfd, *onnx, program="parity")
    assert (status, "no delegate is known for onnx files" in err) == (2, True)
    status, _, err = run(capfd, *onnx, "--target", "emulated", program="parity")
    assert (status, "--target does not go with --ready" in err) == (2, True)
