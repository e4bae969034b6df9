"""The native bench, compiled here: what it computes, and that every failure has its status and one line."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.targets.host import _installed
from benchmarks.toolchain.compile import CLOCK, SOURCES, compile_bench, compile_clock, sources_digest
from benchmarks.toolchain.lock import read_lock
from mocovit_deploy.artifacts.golden import read_golden
from mocovit_deploy.artifacts.manifest import read_manifest

MODELS = Path(__file__).parents[1] / "models"
INTERNAL, USAGE, LIBRARY, MODEL, DATA, INFERENCE, DEADLINE, CRASH = range(1, 9)

needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="cc is not installed")


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("cc") is None:
        pytest.skip("cc is not installed")
    output = tmp_path_factory.mktemp("bench") / "bench"
    compile_bench(["cc"], output, deadline_s=120)
    return output


@pytest.fixture(scope="session")
def litert() -> str:
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")
    return f"--library={_installed('litert').library}"


@pytest.fixture(scope="session")
def onnxruntime() -> str:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    return f"--library={_installed('onnxruntime').library}"


def call(bench: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(bench), *words], capture_output=True, text=True, timeout=60)


def own_lines(stderr: str) -> list[str]:
    return [line for line in stderr.splitlines() if line.startswith("bench: ")]


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        ((), USAGE, "--model=FILE is missing"),
        (("--modle=x",), USAGE, "unknown option"),
        (("model",), USAGE, "--name=value"),
        (("--model=x", "--threads=0"), USAGE, "whole number from 1 to 64"),
        (("--model=x", "--threads=1x"), USAGE, "whole number"),
        (("--model=x", "--runs=99999999999999999999"), USAGE, "whole number"),
        (("--model=x", "--min-s=nan"), USAGE, "seconds"),
        (("--model=x", "--samples=2"), USAGE, "without --input"),
        (("--model=x", "--runtime=caffe"), USAGE, "litert, tflite or onnxruntime"),
        (("--model=x", "--library=/no/such.so"), LIBRARY, "cannot be loaded"),
        (("--model=x", "--library=libm.so.6"), LIBRARY, "no function LiteRt"),
        (("--model=x", "--library=libm.so.6", "--runtime=tflite"), LIBRARY, "no function TfLite"),
        (("--model=x", "--library=libm.so.6", "--runtime=onnxruntime"), LIBRARY, "no function OrtGetApiBase"),
    ],
)
def test_bad_words_have_a_status_and_one_line(
    bench: Path, words: tuple[str, ...], status: int, says: str
) -> None:
    done = call(bench, *words)
    assert done.returncode == status
    assert len(done.stderr.splitlines()) == 1
    assert says in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("--model=/no/such.tflite",), MODEL, "reading the model"),
        (("--model=/dev/null",), MODEL, "reading the model"),
        ((f"--model={MODELS / 'make_models.py'}",), MODEL, "reading the model"),
        ((f"--model={MODELS / 'tiny.tflite'}", "--input=/no/such.bin"), DATA, "No such file"),
        (
            (f"--model={MODELS / 'tiny.tflite'}", f"--input={MODELS / 'make_models.py'}"),
            DATA,
            "inputs take 3072",
        ),
        ((f"--model={MODELS / 'tiny.tflite'}", "--output=/dev/full"), DATA, "No space left"),
        ((f"--model={MODELS / 'tiny.tflite'}", "--report=/dev/full"), INTERNAL, "cannot be written"),
        ((f"--model={MODELS / 'tiny.tflite'}", "--report=/no/such/report"), INTERNAL, "No such file"),
    ],
)
def test_bad_files_have_a_status_and_one_line_of_ours(
    bench: Path, litert: str, words: tuple[str, ...], status: int, says: str
) -> None:
    done = call(bench, litert, *words)
    assert done.returncode == status
    (line,) = own_lines(done.stderr)
    assert says in line


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_truncated_model_ends_in_a_status_and_one_line(
    bench: Path, litert: str, tmp_path: Path, share: float
) -> None:
    """LiteRT trusts a model's tables and may crash on these; that, too, is told in one line."""
    whole = (MODELS / "tiny.tflite").read_bytes()
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(whole[: int(len(whole) * share)])
    done = call(bench, litert, f"--model={cut}", "--deadline-s=20")
    assert done.returncode in (MODEL, INFERENCE, DEADLINE, CRASH)
    assert len(own_lines(done.stderr)) == 1
    assert done.stdout == ""


def test_it_ends_at_its_deadline(bench: Path, litert: str) -> None:
    begun = time.monotonic()
    done = call(bench, litert, f"--model={MODELS / 'tiny.tflite'}", "--min-s=50", "--deadline-s=0.5")
    assert done.returncode == DEADLINE
    assert own_lines(done.stderr) == ["bench: the deadline has passed; stopped"]
    assert time.monotonic() - begun < 10


def test_litert_computes_what_the_torch_module_computes(bench: Path, litert: str, tmp_path: Path) -> None:
    check_outputs(bench, [litert], MODELS / "tiny.tflite", tmp_path)


def test_onnxruntime_computes_what_the_torch_module_computes(
    bench: Path, onnxruntime: str, tmp_path: Path
) -> None:
    check_outputs(bench, [onnxruntime, "--runtime=onnxruntime"], MODELS / "tiny.onnx", tmp_path)


def check_outputs(bench: Path, words: list[str], model: Path, folder: Path) -> None:
    golden = read_golden(read_manifest(model))
    (images,), (logits,) = golden.inputs.values(), golden.outputs.values()
    (folder / "in").write_bytes(images.tobytes())
    done = call(
        bench,
        *words,
        f"--model={model}",
        f"--input={folder / 'in'}",
        f"--output={folder / 'out'}",
        f"--samples={len(golden)}",
    )
    assert done.returncode == 0, done.stderr
    found = np.frombuffer((folder / "out").read_bytes(), np.float32).reshape(logits.shape)
    assert np.abs(found - logits).max() <= 1e-5 * np.ptp(logits)
    assert np.abs(found - logits[::-1]).max() > 1e-3 * np.ptp(logits)  # the samples differ, so order shows


def test_the_report_holds_every_sample(bench: Path, litert: str, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    done = call(
        bench,
        litert,
        f"--model={MODELS / 'split.tflite'}",
        "--runs=7",
        "--warmup-runs=3",
        "--per-op=2",
        f"--report={report}",
    )
    assert done.returncode == 0
    assert done.stdout == ""
    document = json.loads(report.read_text())
    assert len(document["samples_ms"]) == 7
    assert len(document["warmup_ms"]) == 3
    assert all(ms > 0 for ms in document["samples_ms"])
    assert [tensor["shape"] for tensor in document["outputs"]] == [[1, 10], [1, 8, 8, 8]]
    assert len(document["profile"]) == 2
    assert [event["name"] for event in document["profile"][0] if event["kind"] == "operator"] == ["CUMSUM"]


def test_min_s_keeps_it_going(bench: Path, litert: str) -> None:
    done = call(bench, litert, f"--model={MODELS / 'tiny.tflite'}", "--runs=1", "--min-s=0.2")
    samples = json.loads(done.stdout)["samples_ms"]
    assert sum(samples) >= 100


def test_half_precision_cannot_be_asked_of_onnxruntime(bench: Path, onnxruntime: str) -> None:
    done = call(bench, onnxruntime, "--runtime=onnxruntime", f"--model={MODELS / 'tiny.onnx'}", "--fp16=1")
    assert done.returncode == USAGE


def test_onnxruntime_sends_nothing_and_leaves_nothing(
    bench: Path, onnxruntime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Left to itself, it writes an identifier of the machine and a queue of reports to send."""
    for variable in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    for variable in ("CI", "GITHUB_ACTIONS", "ORT_DISABLE_TELEMETRY"):  # they would silence it anyway
        monkeypatch.delenv(variable, raising=False)
    done = call(bench, onnxruntime, "--runtime=onnxruntime", f"--model={MODELS / 'tiny.onnx'}", "--runs=1")
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("*")) == []


@needs_cc
def test_the_counting_clock_counts_its_reads(tmp_path: Path) -> None:
    compile_clock(["cc"], tmp_path / "clock.so", deadline_s=60)
    program = tmp_path / "program.c"
    program.write_text(
        "#include <stdio.h>\n#include <time.h>\n"
        "int main(void) { struct timespec t; for (int k = 0; k < 3; k++) clock_gettime(CLOCK_REALTIME, &t);\n"
        'printf("%ld %ld\\n", (long)t.tv_sec, t.tv_nsec); return 0; }\n'
    )
    subprocess.run(
        [str(shutil.which("cc")), "-o", str(tmp_path / "program"), str(program)], check=True, timeout=60
    )
    done = subprocess.run(
        [str(tmp_path / "program")],
        env={"LD_PRELOAD": str(tmp_path / "clock.so")},
        capture_output=True,
        text=True,
        timeout=10,
    )
    assert done.stdout == "0 3000\n"


def test_the_digest_of_the_sources_covers_every_source() -> None:
    listed = {path.name for path in SOURCES.glob("*.[ch]")}
    from benchmarks.toolchain.compile import BENCH_PARTS, HEADERS

    assert listed == {*BENCH_PARTS, *HEADERS, CLOCK}
    assert len(sources_digest()) == 64


def test_the_compiler_is_pinned_by_digest() -> None:
    compiler = read_lock().compiler
    assert all(len(sha256) == 64 for sha256 in compiler.sha256)
