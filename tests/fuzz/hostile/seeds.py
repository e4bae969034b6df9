"""Tiny valid files of every kind that is read, as mappings of relative names to bytes.

A case is a folder, which may hold several (a model, its manifest, its golden file), of which one is damaged.
They are made with the product's own writers, or are the small models that other tests use.
"""

from __future__ import annotations

import dataclasses
import io
import shutil
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[3]
MODELS = ROOT / "tests/benchmarks/models"

Files = Mapping[str, bytes]
"""What is in the folder of a case, by path within it."""


def model(name: str) -> Files:
    """A committed model with its manifest and golden file."""
    return {member: (MODELS / member).read_bytes() for member in (name, f"{name}.json", f"{name}.golden.npz")}


def mlpackage(recipe: str) -> Files:
    """A package of a convolution and a linear layer, written by the product's exporter."""
    import numpy as np
    import torch
    from torch import nn

    from exporters.coreml import export
    from mocovit_deploy.artifacts.artifact import Artifact
    from mocovit_deploy.artifacts.golden import Golden, golden_path, write_golden
    from mocovit_deploy.artifacts.manifest import write_manifest
    from mocovit_deploy.files import digest
    from mocovit_deploy.formats import ExportJob
    from mocovit_deploy.spec import Preprocessing, TensorSpec

    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)
    ).eval()
    images = torch.randn(2, 1, 3, 8, 8)
    with torch.no_grad():
        outputs = np.stack([network(image).numpy() for image in images])
    graph = torch.export.export(network, (images[0],)).module(check_guards=False)
    inputs = (TensorSpec("image", (1, 3, 8, 8), "float32", "nchw"),)
    given = (TensorSpec("logits", (1, 4), "float32"),)
    with _scratch() as folder:
        path = folder / "tiny.mlpackage"
        job = ExportJob(
            path=path,
            recipe=recipe,
            inputs=inputs,
            outputs=given,
            layout="nchw",
            opset=18,
            simplify=False,
            dynamic_batch=False,
            minimum_deployment_target="iOS16",
        )
        export(graph, (images[0],), job)
        write_golden(path, Golden(("a", "b"), {"image": images.numpy()}, {"logits": outputs}))
        write_manifest(
            Artifact(
                path=path,
                format="coreml",
                recipe=recipe,
                model="tiny",
                weights="random, seed 0",
                inputs=inputs,
                outputs=given,
                preprocessing=Preprocessing(),
                sha256=digest(path),
                golden_sha256=digest(golden_path(path)),
            )
        )
        return {
            member.relative_to(folder).as_posix(): member.read_bytes()
            for member in sorted(folder.rglob("*"))
            if member.is_file()
        }


def checkpoint(kind: str) -> Files:
    """A state dict of a tiny network: "pt" and "legacy" of torch.save, "safetensors"."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    state = {"state_dict": nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).state_dict(), "epoch": 3}
    stream = io.BytesIO()
    if kind == "safetensors":
        from safetensors.torch import save

        return {"seed.safetensors": save({k: v.contiguous() for k, v in state["state_dict"].items()})}
    torch.save(state, stream, _use_new_zipfile_serialization=kind == "pt")
    return {"seed.pt": stream.getvalue()}


def program(*, free_batch: bool) -> Files:
    """A program of torch.export.save."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    shapes = ({0: torch.export.Dim("batch", min=2, max=8)},) if free_batch else None
    exported = torch.export.export(network, (torch.zeros(2, 3, 8, 8),), dynamic_shapes=shapes)
    with _scratch() as folder:
        torch.export.save(exported, folder / "seed.pt2")
        return {"seed.pt2": (folder / "seed.pt2").read_bytes()}


def latency_report() -> Files:
    """Two reports of times, one with rounds and operators."""
    from benchmarks.reports.file import reports_json
    from benchmarks.reports.plan import Plan
    from benchmarks.reports.report import (
        Device,
        Engine,
        LatencyReport,
        Subject,
        TimedOperator,
    )
    from benchmarks.reports.rounds import PhoneReading, Round
    from mocovit_deploy.targets import OutsideDelegate, Partitions

    times = (1.5, 1.6, 1.4, 1.55)
    state = {"load_1min": 0.5, "cpu0_governor": "performance"}
    reading = PhoneReading(at_s=0.1, khz=2_841_600, celsius=41.5)
    report = LatencyReport(
        subject=Subject(file="a.tflite", sha256="0" * 64, format="tflite", recipe="fp32", model="a"),
        target="host",
        plan=Plan(),
        engine=Engine(runtime="litert", version="2.3.0", build="b", arithmetic="fp32"),
        device=Device(facts={"machine": "x86_64"}, state_before=state, state_after=state),
        load_ms=3.0,
        first_inference_ms=9.0,
        warmup_ms=(9.0, 2.0),
        samples_ms=times,
        peak_memory_bytes=1 << 20,
        verified="pass: so",
        rounds=(Round(samples_ms=times, sampling_from_s=0.1, readings=(reading,)),),
        operators_by_kind={"CONV_2D": 2},
        warnings=("busy",),
        tools={"python": "3.11"},
        partitions=Partitions(
            delegate="XNNPACK",
            count=1,
            operators_inside=2,
            outside=(OutsideDelegate(kind="CUMSUM", count=1, reason=""),),
        ),
        operators=(TimedOperator(index=0, kind="CONV_2D", where="stem", partition=0, mean_ms=0.5),),
    )
    other = dataclasses.replace(report, subject=dataclasses.replace(report.subject, file="b.tflite"))
    return {"seed.json": reports_json([report, other]).encode()}


def count_report() -> Files:
    """A report of counts, with a modelled time."""
    from benchmarks.reports.counts import CLASSES, MAC_WIDTHS, Counts, HotBlock, Tick
    from benchmarks.reports.file import reports_json
    from benchmarks.reports.plan import counting_plan
    from benchmarks.reports.report import CountReport, Engine, Modelled, Subject

    by_class = dict.fromkeys(CLASSES, 10)
    counts = Counts(
        instructions=sum(by_class.values()),
        by_class=by_class,
        loaded_bytes=100,
        stored_bytes=50,
        macs=dict.fromkeys(MAC_WIDTHS, 5),
        cycle_bounds_x24={"cortex-a76": 2400, "cortex-a55": 4800},
        ticks=(Tick(number=0, instructions=3, cycle_bounds_x24={"cortex-a76": 24}),),
        hottest=(HotBlock(address="0x10", executions=3, instructions=4, words=("d503201f",)),),
    )
    modelled = Modelled(
        modelled_ms=3.0,
        device="snapdragon_855",
        core="cortex-a76",
        clock_hz=2_841_600_000,
        bound_ms=2.0,
        factor=1.5,
        source="fit",
        error_band_percent=49.0,
    )
    report = CountReport(
        subject=Subject(file="a.tflite", sha256="0" * 64, format="tflite", recipe="fp32", model="a"),
        plan=counting_plan(),
        engine=Engine(runtime="litert", version="2.3.0", build="b", arithmetic="fp32"),
        emulator="qemu 10",
        counts=counts,
        instructions_by_run=(counts.instructions,) * 2,
        modelled=modelled,
        verified="pass: so",
        operators_by_kind={"CONV_2D": 2},
    )
    return {"seed.json": reports_json([report]).encode()}


def benchmark_model_text() -> Files:
    """What Google's tool prints."""
    return {
        "seed.txt": b"INFO: count=105 first=4021 curr=3988 min=3901 max=4410 avg=4010.2 std=88\n"
        b"INFO: Inference timings in us: Init: 40213, First inference: 9021, Warmup (avg): 4100.5, "
        b"Inference (avg): 4010.2\n"
    }


def toml(name: str) -> Files:
    """One of the TOML files that the product ships."""
    return {"seed.toml": (ROOT / "benchmarks" / name).read_bytes()}


class _scratch:  # noqa: N801 - used like a function
    def __enter__(self) -> Path:
        import tempfile

        self.folder = Path(tempfile.mkdtemp(prefix="mocovit-seed-"))
        return self.folder

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder)
