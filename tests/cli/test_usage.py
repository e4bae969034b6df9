"""Mistakes that the words alone show: told with exit status 2, and before anything heavy is imported."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

MISTAKES = [
    ("export", "--layout nhcw", "did you mean 'nhwc'"),
    ("export", "--format tfilte", "did you mean 'tflite'"),
    ("export", "--precision fp61", "unknown precision"),
    ("export", "--converter litert", "did you mean 'litert-torch'"),
    ("export", "--format onnx --converter direct", "--converter is for tflite files"),
    ("export", "--without fold_scael", "did you mean 'fold_scale'"),
    ("export", "--format coreml --dynamic batch", "fixed batch"),
    ("export", "--minimum-deployment-target iOS14", "ML programs need iOS 15"),
    ("export", "--checkpoint no.pt", "no.pt: no such file"),
    ("export", "--model mocovit_10", "did you mean 'mocovit_1_0'"),
    ("export", "--model mocovit_10 --summary", "did you mean 'mocovit_1_0'"),
    ("export", "--model net.py", "name also the function"),
    ("export", "--model whole.pt", "is a file of weights, not a network"),
    ("export", "--model no.pt2", "no.pt2: no such file"),
    ("export", "--model no.py:net", "no.py: no such file"),
    ("export", "--labels no.txt", "no.txt: no such file"),
    ("export", "--data no", "no: no such file or folder; --data takes a folder with one folder for each"),
    ("export", "--data EMPTY", "EMPTY: holds no files; give a folder of images"),
    ("export", "--data FLAT", "FLAT: holds no folders; --data takes one folder of images for each class"),
    ("export", "--precision static_wi8_ai8 --calibration no", "no such file or folder; --calibration takes"),
    ("export", "--precision static_wi8_ai8 --calibration EMPTY", "EMPTY: holds no files"),
    ("export", "--output-dir FILE", "is a file, not a folder; name a folder"),
    ("export", "--image-size 0", "not a positive whole number"),
    ("export", "--precison fp16", "unrecognized arguments"),
    ("parity", "", "give a FILE, or --contract"),
    ("parity", "no.tflite", "no.tflite: no such file"),
    ("parity", ".", ".: is a folder with no manifest beside it; name a file that mocovit-export wrote"),
    ("parity", "/", "/: is a folder with no manifest beside it"),
    ("parity", "--fresh a.onnx", "--fresh goes with --contract"),
    ("parity", "--contract no.toml", "no.toml: no such file"),
    ("parity", "a.onnx --target nowhere", "unknown target"),
    ("bench", "run no.tflite --target host", "no.tflite: no such file"),
    ("bench", "run x.tflite --target host --cpu cortex-a76", "--cpu goes with --target emulated"),
    ("bench", "run x.tflite --target host --bundle b", "--bundle goes with --target emulated or adb"),
    ("bench", "run x.tflite --target host --rounds 3", "--rounds goes with --target adb"),
    ("bench", "run x.tflite --target emulated --serial S", "--serial goes with --target adb"),
    ("bench", "run x.tflite --target emulated --min-s 1", "--min-s goes with --target host or adb"),
    ("bench", "run x.tflite --target emulated --benchmark-binary b", "goes with --target host or adb"),
    ("bench", "run x.tflite --target host --benchmark-binary no", "no: no such file"),
    ("bench", "run x.tflite --target host --fp16 --benchmark-binary FILE", "--fp16 does not go with"),
    ("bench", "run x.tflite --target host --html h --benchmark-binary FILE", "--html does not go with"),
    ("bench", "run x.tflite --target host --deadline-s 1", "raise --deadline-s"),
    ("bench", "ab a.tflite b.tflite --target emulated --rounds 3", "counts are exact"),
    ("bench", "ab a.tflite b.tflite --target host --keep", "--keep goes with --target adb"),
    ("bench", "compare no.json new.json", "no.json: no such file"),
]

CHILD = """
import contextlib, io, json, sys
from benchmarks.cli.main import main as bench
from mocovit_deploy.cli import main

def said(program, words):
    error, output = io.StringIO(), io.StringIO()
    sys.argv = [program, *words]
    with contextlib.redirect_stderr(error), contextlib.redirect_stdout(output):
        try:
            status = {"export": main.export_main, "parity": main.parity_main, "bench": bench}[program]()
        except SystemExit as end:
            status = end.code
    heavy = ("torch", "timm", "onnx", "onnxruntime", "coremltools", "litert_torch", "ai_edge_litert")
    return status, error.getvalue(), [name for name in heavy if name in sys.modules]

print(json.dumps([said(program, words) for program, words in json.load(sys.stdin)]))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("usage")
    (folder / "file").touch()
    (folder / "EMPTY").mkdir()
    (folder / "FLAT").mkdir()
    (folder / "FLAT" / "1.jpg").touch()
    words = [(program, text.replace("FILE", "file").split()) for program, text, _ in MISTAKES]
    done = subprocess.run(
        [sys.executable, "-c", CHILD], input=json.dumps(words), capture_output=True, text=True, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("which", range(len(MISTAKES)), ids=[f"{row[0]} {row[1]}" for row in MISTAKES])
def test_a_mistake_in_the_words_is_told_before_anything_heavy(which, answers):
    status, said, heavy = answers[which]
    assert (status, heavy) == (2, []), said
    assert MISTAKES[which][2] in said
    assert "Traceback" not in said
