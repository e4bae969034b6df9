"""Target host: outputs checked before anything is timed, what ran is told, bad files end in one line."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from benchmarks.reports.plan import Plan
from benchmarks.targets import host
from benchmarks.targets.bench.tensors import as_stored, real
from benchmarks.targets.context import Context
from benchmarks.targets.subject import load_subject
from exporters.tflite.contents import FileTensor, Quantization
from mocovit_deploy.artifacts.artifact import Array, Artifact
from mocovit_deploy.artifacts.golden import Golden
from mocovit_deploy.errors import MissingToolError, ParityError, TransientDeviceError, UsageError

MODELS = Path(__file__).parents[1] / "models"
QUICK = Plan(warmup_runs=1, warmup_min_s=0, runs=5, min_s=0, deadline_s=60)


@pytest.fixture(autouse=True)
def runtimes() -> None:
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")


@dataclass(frozen=True)
class Judged:
    verdict: str
    reason: str


def within(share: float) -> Callable[..., Judged]:
    """A judge: the largest error as a share of the output's range."""

    def judge(
        artifact: Artifact, golden: Golden, found: Mapping[str, Array], runtime: str, arithmetic: str
    ) -> Judged:
        worst = max(float(np.abs(found[k] - e).max() / np.ptp(e)) for k, e in golden.outputs.items())
        return Judged("pass" if worst <= share else "fail", f"{worst:.1e} on {runtime} in {arithmetic}")

    return judge


def prepared(name: str, share: float = 1e-5) -> tuple[Artifact, Context]:
    artifact, golden = load_subject(MODELS / name, checked=True)
    return artifact, Context(golden=golden, verify=within(share), say=lambda _: None)


def test_a_file_is_checked_and_timed() -> None:
    artifact, context = prepared("tiny.tflite")
    report = host.measure(artifact, dataclasses.replace(QUICK, per_op=True), context)
    assert report.verified.startswith("pass")
    assert report.engine.runtime == "litert"
    assert report.engine.arithmetic == "fp32"
    assert len(report.samples_ms) == 5
    assert report.warmup_ms[0] == report.first_inference_ms
    assert report.operators_by_kind["CONV_2D"] == 2
    assert report.partitions is not None
    assert (report.partitions.count, report.partitions.outside) == (1, ())
    assert {"stem", "depthwise", "pointwise"} <= {operator.where for operator in report.operators}


def test_a_check_is_told_once() -> None:
    artifact, context = prepared("tiny.tflite")
    said: list[str] = []
    context = dataclasses.replace(context, say=said.append)
    checked = host.measure(artifact, QUICK, context).verified
    host.measure(artifact, QUICK, dataclasses.replace(context, checked=checked))
    assert "outputs checked (pass" in said[0]
    assert said[-1] == "tiny.tflite: timing 5 runs or more"


def test_operators_left_outside_are_named() -> None:
    artifact, context = prepared("tiny_int8.tflite", share=0.2)
    report = host.measure(artifact, QUICK, context)
    assert report.engine.arithmetic == "int8"
    assert report.partitions is not None
    assert report.partitions.count == 2
    assert [(group.kind, group.count) for group in report.partitions.outside] == [("HARD_SWISH", 1)]


def test_an_onnx_file_is_measured_too() -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    artifact, context = prepared("tiny.onnx")
    report = host.measure(artifact, dataclasses.replace(QUICK, runtime="onnxruntime", per_op=True), context)
    assert report.verified.startswith("pass")
    assert report.partitions is None
    assert {"stem", "pointwise", "head"} <= {operator.where for operator in report.operators}


def test_several_outputs_keep_their_names() -> None:
    artifact, context = prepared("split.tflite")
    found = host.profile_golden(artifact, QUICK, context)
    assert context.golden is not None
    assert {name: array.shape for name, array in found.outputs.items()} == {
        name: array.shape for name, array in context.golden.outputs.items()
    }


def test_wrong_outputs_are_never_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    artifact, context = prepared("tiny.tflite")
    assert context.golden is not None
    off = {name: array + np.float32(0.01) for name, array in context.golden.outputs.items()}
    wrong = dataclasses.replace(context, golden=dataclasses.replace(context.golden, outputs=off))
    monkeypatch.setattr(host, "timing_options", lambda _: pytest.fail("timed"))
    with pytest.raises(ParityError, match="parity fail") as caught:
        host.measure(artifact, QUICK, wrong)
    assert caught.value.exit_status == 4


def test_one_weight_nudged_is_found(tmp_path: Path) -> None:
    """The mutation test of the check: the file's last bytes of weights, and nothing else, changed."""
    data = bytearray((MODELS / "tiny.tflite").read_bytes())
    kernel = next(at for at in range(len(data) - 512, 0, -4) if _looks_like_weights(data[at : at + 64]))
    weights = np.frombuffer(bytes(data[kernel : kernel + 64]), np.float32) * np.float32(1.05)
    data[kernel : kernel + 64] = weights.tobytes()
    path = tmp_path / "tiny.tflite"
    path.write_bytes(data)
    artifact, context = prepared("tiny.tflite")
    with pytest.raises(ParityError):
        host.measure(dataclasses.replace(artifact, path=path), QUICK, context)


def _looks_like_weights(raw: bytes | bytearray) -> bool:
    values = np.frombuffer(bytes(raw), np.float32)
    return bool(np.isfinite(values).all() and ((np.abs(values) > 1e-4) & (np.abs(values) < 1)).all())


def test_a_check_that_cannot_run_has_not_passed() -> None:
    artifact, context = prepared("tiny.tflite")
    unjudged = dataclasses.replace(context, verify=lambda *_: Judged("not run", "no tolerance"))
    with pytest.raises(ParityError, match="not run"):
        host.measure(artifact, QUICK, unjudged)
    with pytest.raises(ParityError, match="no golden file"):
        host.measure(artifact, QUICK, dataclasses.replace(context, golden=None))


def test_unchecked_only_when_asked() -> None:
    artifact, context = prepared("tiny.tflite")
    report = host.measure(artifact, QUICK, dataclasses.replace(context, golden=None, verify=None))
    assert report.verified.startswith("not run")


def test_a_run_past_its_deadline_is_ended() -> None:
    artifact, context = prepared("tiny.tflite")
    begun = time.monotonic()
    endless = dataclasses.replace(QUICK, runs=1_000_000, min_s=0, deadline_s=1.0, warmup_runs=1_000_000)
    with pytest.raises(TransientDeviceError, match="deadline"):
        host.measure(artifact, endless, context)
    assert time.monotonic() - begun < 20


def test_a_model_the_runtime_refuses_is_said_in_its_words(tmp_path: Path) -> None:
    path = tmp_path / "tiny.tflite"
    data = bytearray((MODELS / "tiny.tflite").read_bytes())
    path.write_bytes(data.replace(b"serving_default", b"serving_\xff\xfe\xfdault"))
    artifact, context = prepared("tiny.tflite")
    whole = host.profile_golden(dataclasses.replace(artifact, path=path), QUICK, context)
    assert whole.arithmetic == "fp32"  # names are only names
    path.write_bytes(b"\0\0\0\0TFL3" + b"\0" * 100)
    with pytest.raises(UsageError):
        host.measure(dataclasses.replace(artifact, path=path), QUICK, context)


@pytest.mark.parametrize("what", ["name", "dtype", "shape"])
def test_another_files_golden_is_refused(what: str) -> None:
    artifact, context = prepared("tiny.tflite")
    assert context.golden is not None
    ((name, array),) = context.golden.inputs.items()
    inputs = {
        "name": {"picture": array},
        "dtype": {name: array.astype(np.float64)},
        "shape": {name: array.reshape(2, 1, 8, 32, 3)},
    }[what]
    wrong = dataclasses.replace(context, golden=dataclasses.replace(context.golden, inputs=inputs))
    with pytest.raises(UsageError):
        host.profile_golden(artifact, QUICK, wrong)


def test_the_tflite_runtime_is_not_for_hosts() -> None:
    artifact, context = prepared("tiny.tflite")
    with pytest.raises(UsageError, match="aarch64 only"):
        host.measure(artifact, dataclasses.replace(QUICK, runtime="tflite"), context)


def test_a_runtime_that_is_not_installed_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    artifact, context = prepared("tiny.tflite")
    with pytest.raises(MissingToolError, match=r"pip install '.\[tflite\]'"):
        host.measure(artifact, QUICK, context)


def test_real_numbers_and_the_files_integers_are_inverse() -> None:
    quantization = Quantization(scale=0.1, zero_point=-3)
    tensor = FileTensor("x", "int8", quantization)
    values = np.array([-100.0, -0.31, 0.0, 0.26, 100.0], np.float32)
    integers = as_stored(values, tensor)
    assert integers.tolist() == [-128, -6, -3, 0, 127]
    back = real(integers, quantization, np.dtype(np.float32))
    assert np.abs(back[1:4] - values[1:4]).max() <= 0.05 + 1e-6
    assert as_stored(integers, tensor) is integers
    assert real(integers, quantization, np.dtype(np.int8)) is integers
