"""fp16 files are judged in half precision: on the emulated core, or in the numpy reference."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from half_operators import OperatorFile, artifact
from tflite_builder import TfliteBuilder

from exporters import onnx, tflite
from exporters.tflite.run import load
from mocovit_deploy.artifacts.golden import Golden, golden_path, write_golden
from mocovit_deploy.artifacts.manifest import write_manifest
from mocovit_deploy.cli.output import verdict_row
from mocovit_deploy.errors import MissingToolError, StableDeviceError, UsageError
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.files import digest
from mocovit_deploy.parity import half
from mocovit_deploy.parity.sandboxed import check_here
from mocovit_deploy.parity.verdict import ParityReport, check_file
from mocovit_deploy.spec import ExportRequest, InputSpec, ModelSpec
from mocovit_deploy.targets import GoldenRun, RunConditions
from mocovit_deploy.terminal.progress import Stages

TOKENS = (1, 64, 32)


def attention(scale: float, folder: Path, factor: float = 1.0):  # type: ignore[no-untyped-def]
    """Linear attention as EfficientViT has it, relu(q) (relu(k)^T v) over its row sums, and its golden file.

    Values grow with the square of `scale`: at 40 they leave fp16. `factor` is the defect of one weight.
    """
    draw = np.random.default_rng(5)
    file = TfliteBuilder()
    x = file.input("x", TOKENS)

    def layer(times: float = 1.0) -> int:
        weight = (draw.standard_normal((32, 32)) / 32**0.5 * scale).astype(np.float32)
        weight[3, 4] *= times
        return file.op("FULLY_CONNECTED", [x, file.constant(weight)], TOKENS, keepNumDims=True)

    q, k = file.op("RELU", [layer()], TOKENS), file.op("RELU", [layer()], TOKENS)
    v = layer(factor)
    turned = file.op("TRANSPOSE", [k, file.constant(np.array([0, 2, 1], np.int32))], (1, 32, 64))
    kv = file.op("BATCH_MATMUL", [turned, v], (1, 32, 32), adjX=False, adjY=False)
    sums = file.op("SUM", [k, file.constant(np.array([1], np.int32))], (1, 1, 32), keepDims=True)
    top = file.op("BATCH_MATMUL", [q, kv], TOKENS, adjX=False, adjY=False)
    bottom = file.op("BATCH_MATMUL", [q, sums], (1, 64, 1), adjX=False, adjY=True)
    return judgeable(file, file.op("DIV", [top, bottom], TOKENS), folder)


def partly(folder: Path):  # type: ignore[no-untyped-def]
    """Three linear layers; a mean of squares, which has no half kernel, leaves the last two in float32."""
    draw = np.random.default_rng(6)
    file = TfliteBuilder()
    x = file.input("x", TOKENS)

    def layer(read: int) -> int:
        weight = (draw.standard_normal((32, 32)) / 32**0.5).astype(np.float32)
        return file.op("FULLY_CONNECTED", [read, file.constant(weight)], TOKENS, keepNumDims=True)

    first = layer(x)
    square = file.op("SQUARE", [first], TOKENS)
    mean = file.op("MEAN", [square, file.constant(np.array([2], np.int32))], (1, 64, 1), keepDims=True)
    return judgeable(file, layer(layer(file.op("DIV", [first, mean], TOKENS))), folder)


def judgeable(file: TfliteBuilder, y: int, folder: Path):  # type: ignore[no-untyped-def]
    """The file of x -> y, and four samples with what it computes in fp32."""
    made = OperatorFile(file.file({"y": y}), {"x": np.zeros(TOKENS, np.float32)}, {"y": TOKENS})
    folder.mkdir(exist_ok=True)
    described, _ = artifact(made, folder)
    samples = np.random.default_rng(7).standard_normal((4, *TOKENS)).astype(np.float32)
    predictor = load(described)  # in fp32 on x86-64: what the network computes
    expected = np.stack([predictor({"x": one})["y"] for one in samples])
    return described, Golden(tuple("abcd"), {"x": samples}, {"y": expected})


def judged(described, golden) -> ParityReport:  # type: ignore[no-untyped-def]
    report = check_file(tflite, described, golden)
    assert (report.verdict, report.not_run) == ("pass", "fp16 arithmetic"), "in fp32 it is right"
    assert half.needs_half(report)
    return half.with_half(report, half.check_half(tflite, described, golden))


@pytest.fixture(params=["reference", "core"])
def where(request: pytest.FixtureRequest) -> str:
    if request.param == "core":
        request.getfixturevalue("the_core")
        return "on an emulated Cortex-A76"
    return "in the numpy reference of XNNPACK's half kernels"


def test_a_healthy_file_passes_and_says_where(where: str, tmp_path: Path) -> None:
    report = judged(*attention(1.0, tmp_path))
    assert (report.verdict, report.not_run) == ("pass", "")
    assert report.reason.startswith(f"fp16 arithmetic {where}: max error")
    assert report.half is not None
    assert 1e-4 < report.half.outputs[0].max_error < 1e-2
    assert report.outputs[0].max_error < 1e-6, "what was computed in fp32 is kept beside it"
    assert report.summary()["arithmetic"] == "fp16"


def test_attention_that_leaves_fp16_is_rejected(where: str, tmp_path: Path) -> None:
    report = judged(*attention(40.0, tmp_path))
    assert report.verdict == "fail"
    assert report.reason.startswith(f"fp16 arithmetic {where}: y is NaN or infinite on ")


def test_a_file_computed_partly_in_fp16_is_judged_by_the_tolerance_of_fp16(
    where: str, tmp_path: Path
) -> None:
    report = judged(*partly(tmp_path))
    assert report.verdict == "pass", report.reason
    assert report.reason.startswith(f"fp16 and fp32 arithmetic {where}: max error")
    assert report.half is not None
    assert report.half.arithmetic == "mixed"
    assert 1e-5 < report.half.outputs[0].max_error < 1e-2, "more than fp32 would be allowed"


def test_a_wrong_weight_fails(tmp_path: Path) -> None:
    _, golden = attention(1.0, tmp_path)
    wrong, _ = attention(1.0, tmp_path / "wrong", factor=3.0)
    assert half.check_in_reference(wrong, golden, tflite.load_half(wrong)).verdict == "fail"


def test_an_operator_without_semantics_is_named(tmp_path: Path) -> None:
    file = TfliteBuilder()
    x = file.input("x", TOKENS)
    made = OperatorFile(file.file({"y": file.op("SIGN", [x], TOKENS)}), {"x": np.ones(TOKENS)}, {"y": TOKENS})
    described, golden = artifact(made, tmp_path)
    report = half.check_in_reference(described, golden, tflite.load_half(described))
    assert (report.verdict, report.reason) == (
        "not run",
        "fp16 arithmetic in the numpy reference: no reference semantics for SIGN",
    )


class Core:
    """An emulated core that is installed; it fails with `error`, if there is one."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.seen: list[tuple[str, ...]] = []

    def run_golden(self, _artifact: object, golden: Golden, conditions: RunConditions) -> GoldenRun:
        assert not conditions.fetch
        assert conditions.deadline_s >= half.LONGEST_S
        self.seen.append(golden.names)
        if self.error is not None:
            raise self.error
        return GoldenRun(outputs=golden.outputs, runtime="litert", arithmetic="fp16")


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[[Core], Core]:
    def installed(core: Core) -> Core:
        monkeypatch.setenv(half.VARIABLE, half.AUTO)
        monkeypatch.setattr(half, "counting_target", lambda: core)
        return core

    return installed


def test_a_broken_emulator_leaves_the_file_to_the_reference(install, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    install(Core(StableDeviceError("no qemu that works")))
    described, golden = attention(1.0, tmp_path)
    assert half.check_on_the_core(described, golden, macs=1) is None
    monkeypatch.setenv(half.VARIABLE, half.CORE)
    with pytest.raises(StableDeviceError, match="no qemu that works"):
        half.check_on_the_core(described, golden, macs=1)


def test_a_core_that_is_not_installed_is_missed_only_where_it_is_demanded(
    tmp_path: Path, monkeypatch
) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    described, golden = attention(1.0, tmp_path)
    monkeypatch.setenv(half.VARIABLE, half.AUTO)
    assert half.check_on_the_core(described, golden, macs=1) is None
    monkeypatch.setenv(half.VARIABLE, half.CORE)
    with pytest.raises(MissingToolError, match="no bundle"):
        half.check_on_the_core(described, golden, macs=1)
    monkeypatch.setenv(half.VARIABLE, "cor")
    with pytest.raises(UsageError, match="did you mean 'core'"):
        half.check_on_the_core(described, golden, macs=1)


def test_a_file_that_the_runtime_refuses_on_the_core_has_not_passed(install, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    install(Core(UsageError("litert crashed on the model")))
    report = half.check_on_the_core(*attention(1.0, tmp_path), macs=1)
    assert report is not None
    assert (report.verdict, report.reason) == (
        "not run",
        "fp16 arithmetic on an emulated Cortex-A76: litert crashed on the model",
    )


def test_the_core_runs_two_samples_then_one_then_none(install, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    core = install(Core())
    described, golden = attention(1.0, tmp_path)
    for macs in (150_000_000, 400_000_000, 2_000_000_000):
        half.check_on_the_core(described, golden, macs)
    assert core.seen == [("a", "d"), ("a",)]


def test_the_reference_runs_one_sample_at_least(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(half, "BUDGET_S", 1e-9)
    described, golden = attention(1.0, tmp_path)
    report = half.check_in_reference(described, golden, tflite.load_half(described))
    assert (report.verdict, report.samples) == ("pass", ("a",)), "judged by the ranges of all samples"


def test_ranges_are_those_of_all_samples(tmp_path: Path) -> None:
    described, golden = attention(1.0, tmp_path)
    times = np.array([1, 1, 1, 9.0])[:, None, None, None]
    wide = Golden(golden.names, golden.inputs, {"y": golden.outputs["y"] * times})
    found = {"y": golden.outputs["y"][:1] + 0.01}
    alone, of_all = (
        half.judge_outputs(described, golden.some([0]), found, "", "fp16", whole).outputs[0]
        for whole in (golden.some([0]), wide)
    )
    assert alone.max_abs == of_all.max_abs
    spread = np.ptp(wide.outputs["y"]) / np.ptp(golden.outputs["y"][0])
    assert alone.max_error == pytest.approx(of_all.max_error * spread)
    assert (alone.liveliness, of_all.liveliness > 0.1) == (0, True), "one sample alone shows no change"


def test_parity_runs_fp16_files_in_half_precision(tmp_path: Path) -> None:
    for scale, verdict in ((1.0, "pass"), (40.0, "fail")):
        described, golden = attention(scale, tmp_path)
        write_golden(described.path, golden)
        sums = {"sha256": digest(described.path), "golden_sha256": digest(golden_path(described.path))}
        write_manifest(dataclasses.replace(described, **sums))
        report, changed = check_here(described.path, verbose=False, deadline_s=None)
        assert (report.verdict, changed) == (verdict, False)
        assert "numpy reference" in report.reason


RATIO = """
from torch import nn

class Ratio(nn.Conv2d):
    def forward(self, x):
        y = super().forward(x).relu().mean((2, 3)) * {scale} + 1
        return y / y.sum(1, keepdim=True)

def net():
    return Ratio(3, 8, 3)
"""


@pytest.mark.parametrize(("scale", "verdict"), [(1.0, "pass"), (1e5, "fail")])
def test_export_rejects_what_leaves_fp16(scale: float, verdict: str, tmp_path: Path) -> None:
    (tmp_path / "ratio.py").write_text(RATIO.format(scale=scale))
    model = ModelSpec(f"{tmp_path / 'ratio.py'}:net", input=InputSpec(size=16))
    request = ExportRequest(model, ("onnx",), precisions=("fp16",), output_dir=tmp_path / "out")
    (outcome,) = export_model(request, Stages()).outcomes
    assert outcome.report.verdict == verdict, outcome.report.reason
    assert "fp16 arithmetic in the numpy reference of half precision" in outcome.report.reason
    assert (outcome.error is None) is (verdict == "pass")
    assert outcome.artifact is not None
    assert outcome.artifact.path.parent.name == ("out" if verdict == "pass" else "rejected")
    assert onnx.load_half(outcome.artifact).macs > 1000


def test_the_table_of_verdicts_says_that_an_output_is_not_finite(tmp_path: Path) -> None:
    described, golden = attention(40.0, tmp_path)
    row = verdict_row(described.path, judged(described, golden))
    assert row[3:] == ("not finite", "-", "-", "-", "fail")
