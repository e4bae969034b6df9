"""A short run of the trial's three parts, and proof that its judges see what they look for."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from campaign import grammar, interruptions, judge, networks, page, rows
from campaign.aftermath import Hit, alive, json_wrong, status_wrong, triples_wrong, words_wrong
from campaign.defects import SIZED, beyond, planted_wrong
from torch import nn

from mocovit_deploy.files import digest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_short_run_of_every_part(tmp_path):
    words = ["networks", "defects", "interruptions", "--seed", "460", "--count", "1", "--members", "0"]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "campaign", *words, "--formats", "onnx", "--folder", tmp_path],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests/helpers", ROOT / "tests/trial"))),
            "OMP_NUM_THREADS": "1",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (network,) = rows.all_rows(tmp_path, "networks")
    assert [one["verdict"] for one in network["files"]] == ["pass"]
    (defects,) = rows.all_rows(tmp_path, "defects")
    assert len(defects["planted"]) > 3
    assert any(map(beyond, defects["planted"]))
    (interruption,) = rows.all_rows(tmp_path, "interruptions")
    assert interruption["status"] in (0, 130, 143, -9)
    text = page.page(tmp_path)
    assert all(f"## {title}" in text for title in ("Networks", "Planted defects", "Interruptions"))
    assert rows.commit() in text


# The grammar


def test_the_same_seed_gives_the_same_network():
    one, other = (grammar.network("3") for _ in range(2))
    state, again = one.state_dict(), other.state_dict()
    assert list(state) == list(again)
    assert all(torch.equal(state[name], again[name]) for name in state)


def test_networks_run_and_answer_their_inputs():
    for seed in range(40):
        network = grammar.network(str(seed))
        outputs = [
            torch.utils._pytree.tree_leaves(network(*grammar.arguments_of(network, one)))
            for one in grammar.inputs_for(network, 2, seed)
        ]
        for one in outputs[0]:
            assert torch.isfinite(one.double()).all(), seed
        assert any(not torch.equal(one, other) for one, other in zip(*outputs, strict=True)), seed


def test_leaving_a_piece_out_leaves_the_others():
    whole, part = grammar.network("8"), grammar.network("8", "0")
    assert len(whole.steps()) > len(part.steps()) == 1
    assert type(whole.steps()[0]) is type(part.steps()[0])


# The judge


class Written(nn.Module):
    def forward(self, x):
        return x.float() * torch.ones(3, dtype=torch.float32) / 3


def test_the_yardstick_is_float64_also_where_forward_says_float32():
    run = (torch.randn(2, 3),)
    (wide,) = judge.in_float64(Written(), [run])[0]
    assert wide.dtype == np.float64
    np.testing.assert_allclose(wide, run[0].double().numpy() / 3, rtol=1e-15)


def on_disk(folder, network, example):
    """An ONNX file with a manifest that says only what the judge reads."""
    path = folder / "net.onnx"
    torch.onnx.export(network, example, str(path), dynamo=False, input_names=["x"], output_names=["y"])
    inputs = [{"name": "x", "layout": "nchw", "shape": list(example[0].shape), "dtype": "float32"}]
    manifest = {"format": "onnx", "inputs": inputs, "outputs": [{"name": "y"}]}
    (folder / "net.onnx.json").write_text(json.dumps(manifest))
    return path


def judged(error, verdict="pass", torch_error=1e-7, golden=0.0, **known):
    one = {"output": "y", "error": error, "torch_error": torch_error}
    row = {"verdict": verdict, "why": "why", "golden": golden, "fresh": [one], "on_golden": [one]}
    return {"format": "onnx", "recipe": "fp32", **row, **known}


@pytest.mark.filterwarnings("ignore")
def test_the_judge_tells_a_wrong_file_from_a_right_one(tmp_path):
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU()).eval()
    runs = [(torch.randn(1, 2, 6, 6),) for _ in range(2)]
    path = on_disk(tmp_path, network, runs[0])
    ((right,),) = judge.judge_file(path, network, runs)
    assert right["error"] < 1e-6
    with torch.no_grad():
        network[0].weight[0, 0, 0, 0] += 1e-3
    ((wrong,),) = judge.judge_file(path, network, runs)
    assert wrong["error"] > 1e-5 > wrong["torch_error"]


@pytest.mark.parametrize(
    ("one", "found"),
    [
        (judged(1e-6), ""),
        (judged(1e-4), "passed and is wrong"),
        (judged(float("inf")), "passed and is wrong"),
        (judged(float("nan")), "passed and is wrong"),
        (judged(1e-4, torch_error=1e-4), ""),
        (judged(1e-6, "fail"), "rejected and is right"),
        (judged(1e-3, "fail"), ""),
        (judged(1e-6, "not run"), ""),
        (judged(1e-6, golden=1e-3), "golden"),
        (judged(1e-6, golden=float("nan")), "golden"),
        (judged(7e-3, "fail", recipe="fp16"), "rejected and is right"),
        (judged(7e-3, "fail", recipe="fp16", format="coreml"), ""),
        (judged(1e-6, "fail", recipe="fp16", why="fp16 arithmetic in a reference: off by 2e-2"), ""),
        ({"verdict": "pass", "judge": "cannot be loaded"}, "passed and does not run"),
    ],
)
def test_what_is_wrong_with_a_file(one, found):
    wrong = networks.file_wrong(one, one.get("recipe", "fp32"))
    assert bool(wrong) == bool(found)
    assert all(found in text for text in wrong)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("body.3: unsupported", True),
        ("the output scores is empty", True),
        ("body.31: unsupported", False),
        ("something went wrong", False),
        ("", False),
        ("body.3: one\nand two", False),
    ],
)
def test_a_refusal_is_one_line_that_names_its_module(text, right):
    assert (networks.refusal_wrong(text, ("body.3", "scores")) == []) == right


# Planted defects


def planted(**other):
    return {
        "defect": "noise",
        "size": 0.1,
        "module": "a",
        "change": 1e-3,
        "bound": 1e-5,
        "verdict": "fail",
        "named": ["a"],
        "said": "",
        **other,
    }


@pytest.mark.parametrize(
    ("one", "found"),
    [
        (planted(), []),
        (planted(change=1e-6, verdict="pass", named=[]), []),
        (planted(verdict="pass"), ["missed"]),
        (planted(change=float("nan"), verdict="pass"), ["missed"]),
        (planted(named=["b"]), ["bisect"]),
        (planted(command=0), ["the command"]),
    ],
)
def test_what_is_wrong_with_a_planted_file(one, found):
    assert [text.split(":")[0].split(" ends")[0] for text in planted_wrong(one)] == found


@pytest.mark.parametrize("kind", SIZED)
def test_every_sized_defect_changes_what_is_stored(kind):
    import random

    before = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
    assert not np.array_equal(SIZED[kind](before.copy(), 0.1, random.Random(0)), before)


# Interruptions


def hit(status=0, stderr="", stdout=""):
    return Hit(status, stdout, stderr, 1.0, "marker")


@pytest.mark.parametrize(
    ("blow", "status", "right"),
    [
        ("SIGINT", 130, True),
        ("SIGINT", 0, True),
        ("SIGINT", 1, False),
        ("SIGINT", -2, False),
        ("SIGTERM", 143, True),
        ("SIGTERM", -15, False),
        ("SIGTERM", 130, False),
        ("full disk", 2, True),
        ("full disk", 1, False),
        ("closed stdout", 120, False),
        ("file size limit", -25, False),
    ],
)
def test_statuses(blow, status, right):
    assert (status_wrong(blow, hit(status)) == []) == right


def test_words():
    assert not words_wrong("mocovit-export", hit(stderr="note: x\nmocovit-export: interrupted\n"))
    for said in (
        "Traceback (most recent",
        "mocovit-export: internal error: x",
        "mocovit-export: a\nmocovit-export: b",
    ):
        assert words_wrong("mocovit-export", hit(stderr=said))
    assert json_wrong(hit(stdout=""))
    assert not json_wrong(hit(stdout="{}"))


@pytest.fixture
def triple(tmp_path):
    for name in ("a.onnx", "a.onnx.golden.npz"):
        (tmp_path / name).write_text(name)
    digests = {"sha256": digest(tmp_path / "a.onnx"), "golden_sha256": digest(tmp_path / "a.onnx.golden.npz")}
    (tmp_path / "a.onnx.json").write_text(json.dumps(digests))
    return tmp_path


def test_a_whole_triple_and_none_are_right(triple):
    assert triples_wrong(triple) == []
    assert triples_wrong(triple / "nothing") == []


@pytest.mark.parametrize("name", ["a.onnx", "a.onnx.golden.npz", "a.onnx.json"])
def test_half_a_triple_is_seen(triple, name):
    (triple / name).unlink()
    assert "half state" in triples_wrong(triple)[0]


@pytest.mark.parametrize("name", ["a.onnx", "a.onnx.golden.npz", "a.onnx.json"])
def test_a_triple_of_two_exports_is_seen(triple, name):
    (triple / name).write_text("of another export")
    assert "half state" in triples_wrong(triple)[0]


def test_what_is_half_among_the_rejected_is_seen(triple):
    (triple / "rejected").mkdir()
    shutil.move(triple / "a.onnx.json", triple / "rejected")
    assert len(triples_wrong(triple)) == 2


def test_a_process_left_behind_is_found_and_ended():
    argv = [sys.executable, "-c", "import time; time.sleep(60)"]
    child = subprocess.Popen(argv, env={**os.environ, interruptions.MARKER: "left-behind"})
    found = []
    for _ in range(50):  # its environment is there when it has begun
        found = found or alive("left-behind", patience_s=0.1)
    assert "time.sleep" in found[0]
    assert child.wait(10) == -signal.SIGKILL


# The rows


def test_a_row_is_made_once(tmp_path):
    made = []

    def make():
        made.append(1)
        return {"wrong": []}

    first, new = rows.kept(tmp_path, "networks", "one", make)
    again, renewed = rows.kept(tmp_path, "networks", "one", make)
    assert (new, renewed, len(made)) == (True, False, 1)
    assert first == again
    assert first["sources"] == rows.digest()


def test_a_row_of_other_sources_is_made_again(tmp_path, monkeypatch):
    rows.kept(tmp_path, "networks", "one", dict)
    monkeypatch.setattr(rows, "digest", lambda: "another")
    assert rows.kept(tmp_path, "networks", "one", dict)[1]
    assert not rows.kept(tmp_path, "networks", "one", dict, any_sources=True)[1]
    assert len(list(rows.all_rows(tmp_path, "networks"))) == 1
