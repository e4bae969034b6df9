"""Target emulated: the aarch64 runtimes compute what the torch module computes, and counts are exact.

Nothing is fetched here. Tests that execute need what `mocovit-bench bundle` and `mocovit-bench emulator`
leave in the cache folder, and are skipped, with that reason, where they have not run.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from benchmarks.reports.counts import CLASSES, MAC_WIDTHS, Counts
from benchmarks.reports.file import read_reports, reports_json, write_reports
from benchmarks.reports.plan import counting_plan
from benchmarks.targets.context import Context, ProfiledRun
from benchmarks.targets.emulated import qemu
from benchmarks.targets.emulated import target as emulated
from benchmarks.targets.emulated.prefix import CORES, write_prefix
from benchmarks.targets.subject import load_subject
from benchmarks.toolchain import bundle as bundles
from mocovit_deploy.choices import CPUS, RUNTIMES
from mocovit_deploy.errors import (
    MissingToolError,
    ParityError,
    StableDeviceError,
    TransientDeviceError,
    UsageError,
)

MODELS = Path(__file__).parents[1] / "models"
MODEL_OF = {"litert": "tiny.tflite", "tflite": "tiny.tflite", "onnxruntime": "tiny.onnx"}


def need_bundle(runtime: str) -> None:
    if not bundles.bundle_folder(runtime).is_dir():
        pytest.skip(f"no bundle of {runtime} in the cache folder; run: mocovit-bench bundle")
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")


@pytest.fixture
def any_qemu() -> None:
    try:
        qemu.find_qemu()
    except MissingToolError as error:
        pytest.skip(str(error))


def context_of(name: str, worst: float = 1e-5) -> tuple[emulated.Artifact, Context]:
    import numpy as np

    @dataclasses.dataclass(frozen=True)
    class Judged:
        verdict: str
        reason: str

    def judge(artifact, golden, found, runtime, arithmetic):  # type: ignore[no-untyped-def]
        off = max(float(np.abs(found[k] - e).max() / np.ptp(e)) for k, e in golden.outputs.items())
        return Judged("pass" if off <= worst else "fail", f"{off:.1e}")

    artifact, golden = load_subject(MODELS / name, checked=True)
    return artifact, Context(golden=golden, verify=judge, say=lambda _: None)


@pytest.mark.usefixtures("any_qemu")
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_golden_outputs_under_emulation(runtime: str) -> None:
    need_bundle(runtime)
    artifact, context = context_of(MODEL_OF[runtime])
    found = emulated.profile_golden(artifact, counting_plan(runtime=runtime), context)
    assert context.golden is not None
    assert context.verify is not None
    judged = context.verify(artifact, context.golden, found.outputs, found.runtime, found.arithmetic)
    assert (judged.verdict, found.arithmetic) == ("pass", "fp32")


@pytest.mark.usefixtures("any_qemu")
def test_int8_outputs_under_emulation() -> None:
    need_bundle("litert")
    artifact, context = context_of("tiny_int8.tflite")
    assert emulated.profile_golden(artifact, counting_plan(), context).arithmetic == "int8"


@pytest.mark.parametrize("runtime", ["litert", "tflite"])
@pytest.mark.usefixtures("counting_emulator")
def test_counts_are_exact_and_belong_to_operators(runtime: str) -> None:
    need_bundle(runtime)
    artifact, context = context_of("split.tflite")
    plan = counting_plan(runtime=runtime, per_op=True)
    first, second = (emulated.measure(artifact, plan, context) for _ in range(2))
    assert set(first.instructions_by_run) == set(second.instructions_by_run) == {first.counts.instructions}
    assert first.counts == second.counts
    assert [op.instructions for op in first.operators] == [op.instructions for op in second.operators]
    assert first.partitions is not None
    assert first.partitions.count == 2
    assert [op.kind for op in first.operators if op.partition is None] == ["CUMSUM"]
    assert {"first", "second"} <= {op.where for op in first.operators}
    inside = sum(op.instructions for op in first.operators)
    assert 0.5 * first.counts.instructions < inside < 1.1 * first.counts.instructions


@pytest.mark.usefixtures("counting_emulator")
def test_cores_run_different_kernels() -> None:
    need_bundle("litert")
    artifact, context = context_of("tiny_int8.tflite", worst=0.2)
    by_core = {cpu: emulated.measure(artifact, counting_plan(cpu=cpu), context).counts for cpu in CPUS}
    assert by_core["cortex-a76"].macs["int8_dot"] > 0  # SDOT came with Armv8.2
    assert by_core["cortex-a53"].macs["int8_dot"] == 0
    assert by_core["cortex-a53"].macs["widening_mla"] > 0


@pytest.mark.usefixtures("counting_emulator")
def test_half_precision_is_proved_by_counts() -> None:
    need_bundle("litert")
    artifact, context = context_of("tiny.tflite", worst=0.05)
    full = emulated.measure(artifact, counting_plan(), context)
    half = emulated.measure(artifact, counting_plan(fp16_arithmetic=True), context)
    assert (full.engine.arithmetic, half.engine.arithmetic) == ("fp32", "fp16")
    assert full.counts.macs["fp16"] == 0
    assert half.counts.macs["fp32"] == 0
    assert half.counts.macs["fp16"] > 0


@pytest.mark.usefixtures("counting_emulator")
def test_half_precision_that_was_not_computed_is_said() -> None:
    need_bundle("litert")
    artifact, context = context_of("tiny_int8.tflite", worst=0.2)
    report = emulated.measure(artifact, counting_plan(fp16_arithmetic=True), context)
    assert any("computed this file in int8" in warning for warning in report.warnings)


@pytest.mark.usefixtures("counting_emulator")
def test_the_report_claims_no_measured_time(tmp_path: Path) -> None:
    need_bundle("litert")
    artifact, context = context_of("tiny.tflite")
    report = emulated.measure(artifact, counting_plan(), context)
    text = reports_json([report])
    assert "latency" not in text.lower()
    document = json.loads(text)["reports"][0]
    assert document["emulated"] is True
    times = {key for key in _keys(document) if key.endswith(("_ms", "_us", "_ns"))}
    assert times == {"modelled_ms", "bound_ms"}
    write_reports(tmp_path / "report.json", [report])
    assert read_reports(tmp_path / "report.json") == (report,)


def _keys(document: object) -> set[str]:
    if isinstance(document, dict):
        return set(document) | {key for value in document.values() for key in _keys(value)}
    if isinstance(document, list):
        return {key for value in document for key in _keys(value)}
    return set()


@pytest.mark.usefixtures("counting_emulator")
def test_wrong_outputs_are_never_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    need_bundle("litert")
    artifact, context = context_of("tiny.tflite", worst=0.0)
    monkeypatch.setattr(emulated, "timing_options", lambda _: pytest.fail("counted"))
    with pytest.raises(ParityError):
        emulated.measure(artifact, counting_plan(), context)


@pytest.mark.usefixtures("any_qemu")
def test_a_run_past_its_deadline_is_ended() -> None:
    need_bundle("litert")
    artifact, context = context_of("tiny.tflite")
    with pytest.raises(TransientDeviceError, match="deadline"):
        emulated.profile_golden(artifact, counting_plan(deadline_s=0.01), context)


@pytest.mark.usefixtures("any_qemu")
def test_a_bundle_of_another_runtime_is_refused() -> None:
    need_bundle("tflite")
    artifact, context = context_of("tiny.tflite")
    with pytest.raises(UsageError, match="a bundle of tflite"):
        emulated.profile_golden(
            artifact, counting_plan(), dataclasses.replace(context, bundle=bundles.bundle_folder("tflite"))
        )


@pytest.mark.usefixtures("any_qemu")
def test_a_core_is_needed() -> None:
    artifact, context = context_of("tiny.tflite")
    with pytest.raises(UsageError, match="--cpu"):
        emulated.profile_golden(artifact, dataclasses.replace(counting_plan(), cpu=None), context)


def test_without_any_qemu_the_command_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(qemu.VARIABLE, raising=False)
    with pytest.raises(MissingToolError, match="mocovit-bench emulator") as caught:
        qemu.find_qemu()
    assert caught.value.exit_status == 8
    artifact, context = context_of("tiny.tflite")
    with pytest.raises(MissingToolError, match="mocovit-bench emulator"):
        emulated.measure(artifact, counting_plan(), context)


@pytest.mark.parametrize(
    "says", ["qemu-aarch64 version 6.2.0", "qemu-x86_64 version 10.0.0", "", "qemu-aarch64 version unknown"]
)
def test_a_qemu_that_is_too_old_or_none_is_refused(
    says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "qemu-aarch64"
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)
    monkeypatch.setenv(qemu.VARIABLE, str(program))
    with pytest.raises(StableDeviceError, match=r"7\.2"):
        qemu.find_qemu()


def test_a_qemu_of_debian_12_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "qemu-aarch64-static"
    program.write_text(
        "#!/bin/sh\n"
        "[ \"$1\" = -cpu ] && echo ' cortex-a76' && exit\n"
        "echo 'qemu-aarch64 version 7.2.18 (Debian 1:7.2)'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv(qemu.VARIABLE, str(program))
    found = qemu.find_qemu()
    assert found.version == "7.2.18"
    qemu.check_cpu(found.path, "cortex-a76")
    with pytest.raises(StableDeviceError, match="cortex-a55"):
        qemu.check_cpu(found.path, "cortex-a55")


@pytest.mark.parametrize("cpu", CPUS)
def test_the_prefix_describes_the_core(cpu: str, tmp_path: Path) -> None:
    write_prefix(tmp_path, cpu)
    cpuinfo = (tmp_path / "proc/cpuinfo").read_text()
    assert cpuinfo.count("CPU part") == CORES
    assert ("asimddp" in cpuinfo) == (cpu != "cortex-a53")
    assert (tmp_path / "sys/devices/system/cpu/present").read_text() == f"0-{CORES - 1}\n"
    assert len(list((tmp_path / "sys/devices/system/cpu").glob("cpu*/topology/core_id"))) == CORES


def test_words_do_not_change_length_with_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack that begins elsewhere costs a few instructions: no path of the machine may be in argv."""
    need_bundle("litert")
    seen: list[list[str]] = []
    monkeypatch.setattr(
        emulated, "run_bench", lambda command, model, *_, **__: seen.append([*command, model])
    )
    monkeypatch.setattr(emulated, "check_cpu", lambda *_: None)
    bundle = bundles.open_bundle(bundles.bundle_folder("litert"))
    place = emulated._Place(tmp_path, bundle, qemu.Qemu(Path("qemu"), "10"), operators=())
    emulated._Execute(place, counting_plan())([], samples=None)
    program = seen[0][seen[0].index("-L") + 2 :]
    assert program[0] == "b/ld-linux-aarch64.so.1"
    paths = [word.partition("=")[2] or word for word in program if "/" in word]
    assert paths
    assert all(path.startswith("b/") for path in paths)


def test_an_arithmetic_that_was_named_and_not_executed_is_no_proof() -> None:
    artifact, _ = context_of("tiny.tflite")
    run = ProfiledRun(outputs={}, runtime="litert 2.3.0", arithmetic="fp16", executed=())
    regions = [_multiplied(fp16=300), _multiplied(fp16=600, fp32=100)]
    assert emulated.proved(artifact, run, regions[:1]) == run
    few = emulated.proved(artifact, run, [_multiplied(fp16=999, fp32=1)])
    assert (few.arithmetic, few.runtime) == ("fp16", "litert 2.3.0 (0.1 % of MACs in fp32)")
    partly = emulated.proved(artifact, run, regions)
    assert partly.arithmetic == "mixed"
    assert partly.runtime == "litert 2.3.0 (10 % of MACs in fp32, 90 % of MACs in fp16)"
    named_fp32 = dataclasses.replace(run, arithmetic="fp32")
    assert emulated.proved(artifact, named_fp32, [_multiplied(fp16=29, fp32=71)]).arithmetic == "mixed"
    named_int8 = dataclasses.replace(run, arithmetic="int8")
    assert emulated.proved(artifact, named_int8, [_multiplied(int8_dot=9, fp16=1)]).arithmetic == "int8"
    with pytest.raises(ParityError, match="every multiply-accumulate it executed was fp32"):
        emulated.proved(artifact, run, [_multiplied(fp32=100)])


def test_half_precision_beside_int8_may_be_that_of_operators_that_only_add() -> None:
    artifact, _ = context_of("tiny.tflite")
    run = ProfiledRun(outputs={}, runtime="litert 2.3.0", arithmetic="int8 and fp16", executed=())
    assert emulated.proved(artifact, run, [_multiplied(int8_dot=300)]) == run
    assert emulated.proved(artifact, run, [_multiplied(int8_dot=300, fp16=100)]) == run
    with pytest.raises(ParityError, match="its int8 is not proven"):
        emulated.proved(artifact, run, [_multiplied(fp16=100)])


def _multiplied(**macs: int) -> Counts:
    return Counts(
        instructions=1,
        by_class={name: int(name == "integer") for name in CLASSES},
        loaded_bytes=0,
        stored_bytes=0,
        macs={**dict.fromkeys(MAC_WIDTHS, 0), **macs},
        cycle_bounds_x24={},
    )
