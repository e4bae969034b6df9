"""The readers of the product, each with valid files to begin with and the code that a command runs on them.

`guarded` says that the product runs this reader in a child of its own (`untrusted/sandbox.py`): there a
crash, a hang or a full memory is contained and becomes one line. Everywhere else each is a violation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hostile import crafted, crafted_weights, mutate, seeds
from hostile.seeds import Files

BENCH_DEADLINE_S = 4.0


@dataclass(frozen=True)
class Seed:
    """A valid case."""

    files: Files
    victims: tuple[str, ...]
    """Which of its files are damaged."""


@dataclass(frozen=True)
class Reader:
    """Something that reads a file of the user's."""

    name: str
    what: str
    """In words, for the table."""
    seeds: Callable[[], Sequence[Seed]]
    mutations: tuple[mutate.Mutation, ...]
    read: Callable[[Path], None]
    """Reads the case in the current folder, as a command would; the argument is that folder."""
    crafted: Callable[[Sequence[Seed]], Iterable[crafted.Crafted]]
    modules: tuple[str, ...] = ()
    """Imported before the first case: every case is a fork of a process that has them."""
    guarded: bool = False
    command: tuple[str, ...] = ()
    """The real command on the case."""
    repair: Callable[[dict[str, bytes]], None] = lambda _files: None
    """Makes what is around the damaged file agree with it, so that reading goes on."""


def _golden_digest(files: dict[str, bytes]) -> None:
    """Write the golden file's digest into the manifest."""
    import hashlib

    for name in [name for name in files if name.endswith(".golden.npz")]:
        manifest = name.removesuffix(".golden.npz") + ".json"
        document = json.loads(files[manifest])
        document["golden_sha256"] = hashlib.sha256(files[name]).hexdigest()
        files[manifest] = json.dumps(document).encode()


def _both_digests(files: dict[str, bytes]) -> None:
    """The artifact's too, which `mocovit-bench` compares before it runs anything."""
    import hashlib

    for name in [name for name in files if f"{name}.json" in files]:
        document = json.loads(files[f"{name}.json"])
        document["sha256"] = hashlib.sha256(files[name]).hexdigest()
        files[f"{name}.json"] = json.dumps(document).encode()
    _golden_digest(files)


def _artifact_in(folder: Path) -> Path:
    return next(path.with_name(path.name.removesuffix(".golden.npz")) for path in folder.glob("*.golden.npz"))


def _manifest(folder: Path) -> None:
    from mocovit_deploy.artifacts.golden import read_golden
    from mocovit_deploy.artifacts.manifest import read_manifest

    read_golden(read_manifest(_artifact_in(folder)))


def _host_check(folder: Path) -> None:
    from mocovit_deploy.parity.sandboxed import child_check, report_from

    document = json.loads(json.dumps(child_check(str(_artifact_in(folder)))))
    json.dumps(report_from(document["report"]).as_json(), allow_nan=False)


def _bench(folder: Path) -> None:
    from benchmarks.reports.plan import Plan
    from benchmarks.targets import host, subject
    from benchmarks.targets.context import Context
    from mocovit_deploy.parity.verdict import judge_outputs
    from mocovit_deploy.targets import runtime_for

    artifact, golden = subject.load_subject(_artifact_in(folder), checked=True)
    assert golden is not None
    plan = Plan(
        runtime=runtime_for(artifact, None),
        warmup_runs=0,
        warmup_min_s=0,
        runs=1,
        min_s=0,
        deadline_s=BENCH_DEADLINE_S,
    )
    run = host.profile_golden(artifact, plan, Context(golden=golden, verify=None, say=lambda _line: None))
    judge_outputs(artifact, golden, run.outputs, run.runtime, run.arithmetic)


def _operators(folder: Path) -> None:
    from benchmarks.targets import subject
    from exporters.tflite.contents import read_interface
    from mocovit_deploy.artifacts.operator import by_kind
    from mocovit_deploy.formats import format_named

    artifact, _ = subject.load_subject(_artifact_in(folder), checked=False)
    by_kind(format_named(artifact.format).operators(artifact))
    if artifact.format == "tflite":
        read_interface(artifact.path)


def _checkpoint(folder: Path) -> None:
    from torch import nn

    from mocovit_deploy.models.checkpoint import load_checkpoint
    from mocovit_deploy.models.probe import probe_in_child

    (path,) = folder.glob("seed.*")
    probe_in_child("mocovit_1_0", str(path), prefer_ema=False)
    load_checkpoint(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), path)


def _program(folder: Path) -> None:
    from mocovit_deploy.models.probe import probe_in_child

    (path,) = folder.glob("seed.*")
    probe_in_child(path.name, None, prefer_ema=False)


def _toml(folder: Path) -> None:
    from benchmarks.devices import device
    from benchmarks.devices import latency_fit as calibration
    from benchmarks.toolchain import lock

    path = folder / "seed.toml"
    kind = path.read_bytes()[:40]
    if kind.startswith(b"#device"):
        device.read_device(path)
    elif kind.startswith(b"#lock"):
        lock.read_lock(path)
    else:
        data = calibration.read_published(path)
        calibration.fit_text(data)
        calibration.error_band_percent(data)


def _toml_seeds() -> list[Seed]:
    kinds = {
        "device": "devices/snapdragon_855.toml",
        "lock": "toolchain/bundle.lock.toml",
        "calibration": "devices/published/latencies.toml",
    }
    return [
        Seed({"seed.toml": f"#{kind}\n".encode() + seeds.toml(name)["seed.toml"]}, ("seed.toml",))
        for kind, name in kinds.items()
    ]


def _report(folder: Path) -> None:
    from benchmarks.reports import schema as records
    from benchmarks.reports.advice import advise
    from benchmarks.reports.compare import compare_reports, describe_comparison
    from benchmarks.reports.file import read_reports
    from benchmarks.reports.html.document import html_page
    from benchmarks.reports.report import LatencyReport
    from benchmarks.reports.text import describe_report as in_words

    reports = read_reports(folder / "seed.json")
    html_page(reports).encode()
    for report in reports:
        list(in_words(report))
        if isinstance(report, LatencyReport):
            list(advise(report))
    comparisons = compare_reports(reports, read_reports(folder / "seed.json"))
    records.to_json([describe_comparison(comparison) for comparison in comparisons])
    records.to_json(comparisons)


def _benchmark_model(folder: Path) -> None:
    from benchmarks.targets.benchmark_model import parse_averages

    parse_averages((folder / "seed.txt").read_text(encoding="utf-8", errors="replace"))


def _model_seeds(*names: str, victim: str = "") -> Callable[[], Sequence[Seed]]:
    return lambda: [Seed(seeds.model(name), (f"{name}{victim}",)) for name in names]


def _package_seeds() -> list[Seed]:
    return [
        Seed(files, tuple(name for name in files if name.startswith("tiny.mlpackage/")))
        for files in (seeds.mlpackage("fp32"), seeds.mlpackage("fp16"))
    ]


def _one(*made: Callable[[], Files]) -> Callable[[], Sequence[Seed]]:
    return lambda: [Seed(files, tuple(files)) for files in (make() for make in made)]


def _from_first(maker: Callable[..., Iterable[crafted.Crafted]], *names: str):  # type: ignore[no-untyped-def]
    return lambda found: maker(found[0].files, *names)


def _without_files(maker: Callable[[], Iterable[crafted.Crafted]]):  # type: ignore[no-untyped-def]
    return lambda _found: maker()


def _for_programs(found: Sequence[Seed]) -> Iterable[crafted.Crafted]:
    for seed in found:
        yield from crafted_weights.for_program(seed.files)


def _none(_found: Sequence[Seed]) -> Iterable[crafted.Crafted]:
    return ()


READERS = (
    Reader(
        "manifest",
        "manifest (`FILE.json`)",
        _model_seeds("tiny.onnx", "split.tflite", victim=".json"),
        mutate.TEXT,
        _manifest,
        _from_first(crafted.for_manifest, "tiny.onnx"),
        modules=("mocovit_deploy.artifacts.artifact",),
        command=("mocovit-parity", "tiny.onnx"),
    ),
    Reader(
        "golden",
        "golden file (`.golden.npz`)",
        _model_seeds("tiny.onnx", "split.tflite", victim=".golden.npz"),
        mutate.ARRAYS,
        _manifest,
        _from_first(crafted.for_golden, "tiny.onnx"),
        modules=("mocovit_deploy.artifacts.artifact",),
        command=("mocovit-parity", "tiny.onnx"),
        repair=_golden_digest,
    ),
    Reader(
        "onnx",
        "ONNX, loaded and run",
        _model_seeds("tiny.onnx"),
        mutate.BINARY,
        _host_check,
        _from_first(crafted.for_onnx, "tiny.onnx"),
        modules=("onnxruntime", "mocovit_deploy.parity.sandboxed", "exporters.onnx"),
        guarded=True,
        command=("mocovit-parity", "tiny.onnx"),
    ),
    Reader(
        "tflite",
        "TFLite, loaded and run",
        _model_seeds("tiny.tflite", "split.tflite"),
        mutate.BINARY,
        _host_check,
        _none,
        modules=("ai_edge_litert.interpreter", "mocovit_deploy.parity.sandboxed", "exporters.tflite"),
        guarded=True,
        command=("mocovit-parity", "tiny.tflite"),
    ),
    Reader(
        "mlpackage",
        "Core ML package, read and run",
        _package_seeds,
        mutate.BINARY,
        _host_check,
        _from_first(crafted.for_package),
        modules=("exporters.coreml", "mocovit_deploy.parity.sandboxed", "hostile.coreml_modules"),
        guarded=True,
        command=("mocovit-parity", "tiny.mlpackage"),
    ),
    Reader(
        "operators",
        "ONNX and TFLite operator lists (`mocovit-bench`)",
        _model_seeds("tiny.onnx", "split.tflite", "tiny_int8.tflite"),
        mutate.BINARY,
        _operators,
        _none,
        modules=(
            "onnx",
            "ai_edge_litert.schema_py_generated",
            "exporters.onnx",
            "exporters.tflite",
            "benchmarks.targets.subject",
        ),
    ),
    Reader(
        "bench",
        "ONNX and TFLite in the native bench (`mocovit-bench run`)",
        _model_seeds("tiny.onnx", "split.tflite", "tiny_int8.tflite"),
        mutate.BINARY,
        _bench,
        _none,
        modules=("onnx", "ai_edge_litert.schema_py_generated", "benchmarks.targets.host"),
        command=("mocovit-bench", "run", "--target", "host", "tiny.onnx"),
        repair=_both_digests,
    ),
    Reader(
        "pickle",
        "checkpoint (`.pt`, `.pth`)",
        _one(lambda: seeds.checkpoint("pt"), lambda: seeds.checkpoint("legacy")),
        (*mutate.ARCHIVE, *mutate.BINARY),
        _checkpoint,
        _without_files(crafted_weights.for_pickles),
        modules=("torch", "mocovit_deploy.models.probe"),
        guarded=True,
        command=("mocovit-export", "--summary", "--checkpoint", "seed.pt"),
    ),
    Reader(
        "safetensors",
        "checkpoint (`.safetensors`)",
        _one(lambda: seeds.checkpoint("safetensors")),
        (*mutate.BINARY, *mutate.TEXT),
        _checkpoint,
        _without_files(crafted_weights.for_safetensors),
        modules=("torch", "safetensors.torch", "mocovit_deploy.models.probe"),
        guarded=True,
        command=("mocovit-export", "--summary", "--checkpoint", "seed.safetensors"),
    ),
    Reader(
        "program",
        "exported program (`.pt2`)",
        _one(lambda: seeds.program(free_batch=False), lambda: seeds.program(free_batch=True)),
        mutate.ARCHIVE,
        _program,
        _for_programs,
        modules=(
            "torch",
            "mocovit_deploy.models.probe",
            "torch.export.pt2_archive._package",
            "torch._inductor.cpp_builder",
        ),
        guarded=True,
        command=("mocovit-export", "--summary", "--model", "seed.pt2"),
    ),
    Reader(
        "toml",
        "TOML: device, calibration, lock",
        _toml_seeds,
        mutate.TEXT,
        _toml,
        _without_files(crafted.for_toml),
        modules=("benchmarks.devices.device", "benchmarks.toolchain.lock"),
    ),
    Reader(
        "report",
        "report (`compare`, `page`)",
        _one(seeds.latency_report, seeds.count_report),
        mutate.TEXT,
        _report,
        _without_files(crafted.for_json),
        modules=(
            "benchmarks.reports.html.document",
            "benchmarks.reports.compare",
            "benchmarks.reports.advice",
            "benchmarks.reports.text",
        ),
        command=("mocovit-bench", "compare", "seed.json", "seed.json"),
    ),
    Reader(
        "benchmark_model",
        "output of `benchmark_model`",
        _one(seeds.benchmark_model_text),
        (*mutate.TEXT, *mutate.BINARY),
        _benchmark_model,
        _none,
        modules=("benchmarks.targets.benchmark_model",),
    ),
)


def named(name: str) -> Reader:
    return next(reader for reader in READERS if reader.name == name)
