"""Inputs and outputs keep their names on every runtime, whatever order file, signature and runtime have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tflite_builder import TfliteBuilder

from benchmarks.reports.plan import Plan, counting_plan
from benchmarks.targets.bench.golden_run import keep_first_sample, run_samples
from benchmarks.targets.bench.process import INPUT, OUTPUT, BenchReport, BenchTensor
from benchmarks.toolchain import bundle
from exporters.tflite.flatbuffer import model_bytes, read_model
from exporters.tflite.run import load
from mocovit_deploy.artifacts.artifact import Array, Artifact
from mocovit_deploy.artifacts.golden import Golden
from mocovit_deploy.errors import DeployError, UsageError
from mocovit_deploy.spec import Preprocessing, TensorSpec
from mocovit_deploy.targets import RunConditions, load_target

SHAPE = (1, 4)


def artifact(folder: Path) -> tuple[Artifact, Golden]:
    """scores = zebra + apple, boxes = zebra - apple; the signature lists both sides the other way round."""
    file = TfliteBuilder()
    zebra, apple = (file.input(name, SHAPE) for name in ("zebra", "apple"))
    outputs = {
        "scores": file.op("ADD", [zebra, apple], SHAPE),
        "boxes": file.op("SUB", [zebra, apple], SHAPE),
    }
    model = read_model(file.file(outputs, half=False))
    model.signatureDefs[0].inputs.reverse()
    model.signatureDefs[0].outputs.reverse()
    path = folder / "order.tflite"
    path.write_bytes(model_bytes(model))
    inputs = {
        name: np.random.default_rng(n).standard_normal((2, *SHAPE)).astype(np.float32)
        for n, name in enumerate(("zebra", "apple"))
    }
    golden = Golden(("a", "b"), inputs, computed(inputs["zebra"], inputs["apple"]))
    made = Artifact(
        path=path,
        format="tflite",
        recipe="fp32",
        model="order",
        weights="random",
        inputs=tuple(TensorSpec(name, SHAPE, "float32", "") for name in inputs),
        outputs=tuple(TensorSpec(name, SHAPE, "float32", "") for name in outputs),
        preprocessing=Preprocessing(),
        sha256="0" * 64,
        golden_sha256="",
    )
    return made, golden


def computed(zebra: Array, apple: Array) -> dict[str, Array]:
    return {"scores": zebra + apple, "boxes": zebra - apple}


def the_same(found: dict[str, Array], golden: Golden) -> bool:
    return found.keys() == golden.outputs.keys() and all(
        np.array_equal(found[name], expected) for name, expected in golden.outputs.items()
    )


def test_litert_in_this_environment(tmp_path: Path) -> None:
    made, golden = artifact(tmp_path)
    predictor = load(made)
    first = predictor({name: array[0] for name, array in golden.inputs.items()})
    assert the_same(first, Golden(("a",), {}, {name: array[0] for name, array in golden.outputs.items()}))


@pytest.mark.parametrize(
    ("target", "runtime"), [("host", "litert"), ("emulated", "litert"), ("emulated", "tflite")]
)
def test_the_runtimes_of_targets(target: str, runtime: str, tmp_path: Path) -> None:
    if target == "emulated":
        try:
            bundle.open_bundle(bundle.bundle_folder(runtime))
        except DeployError as error:
            pytest.skip(str(error))
    made, golden = artifact(tmp_path)
    run = load_target(target).run_golden(made, golden, RunConditions(runtime=runtime, deadline_s=60))
    assert the_same(dict(run.outputs), golden)


class Runtime:
    """A bench whose runtime lists its tensors in the order of `inputs` and `outputs`."""

    def __init__(self, folder: Path, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        self.folder, self.inputs, self.outputs, self.runs = folder, inputs, outputs, 0

    def __call__(self, _options: Sequence[str], *, samples: int | None) -> BenchReport:
        self.runs += 1
        raw = np.fromfile(self.folder / INPUT, "<f4").reshape(samples or 1, 2, *SHAPE)
        given = {name: raw[:, n] for n, name in enumerate(self.inputs)}
        found = computed(given["zebra"], given["apple"])
        np.stack([found[name] for name in self.outputs], axis=1).tofile(self.folder / OUTPUT)
        sides = (
            tuple(BenchTensor(name, "float32", SHAPE, 16) for name in side)
            for side in (self.inputs, self.outputs)
        )
        return BenchReport("", 0, 1.0, 1.0, (), (), 0, *sides, ([],))


def run(made: Artifact, golden: Golden, plan: Plan, runtime: Runtime):  # type: ignore[no-untyped-def]
    return run_samples(made, golden, plan, (), runtime, folder=runtime.folder, profiled=1, version="0")


@pytest.mark.parametrize(("inputs", "runs"), [(["zebra", "apple"], 1), (["apple", "zebra"], 2)])
def test_a_runtime_with_an_order_of_its_own_is_followed_by_name(
    inputs: list[str], runs: int, tmp_path: Path
) -> None:
    made, golden = artifact(tmp_path)
    runtime = Runtime(tmp_path, inputs, ["scores", "boxes"])
    found = run(made, golden, counting_plan(), runtime)
    assert the_same(dict(found.outputs), golden)
    assert (runtime.runs, found.taken) == (runs, tuple(inputs))
    assert keep_first_sample(made, golden, found, tmp_path) == 1
    kept = np.fromfile(tmp_path / INPUT, "<f4").reshape(2, *SHAPE)
    assert np.array_equal(kept, np.stack([golden.inputs[name][0] for name in inputs]))


def test_a_runtime_that_names_other_tensors_is_refused(tmp_path: Path) -> None:
    made, golden = artifact(tmp_path)

    class Renaming(Runtime):
        def __call__(self, options: Sequence[str], *, samples: int | None) -> BenchReport:
            report = super().__call__(options, samples=samples)
            other = tuple(BenchTensor("other", one.dtype, one.shape, one.bytes) for one in report.outputs[:1])
            return BenchReport(
                "", 0, 1.0, 1.0, (), (), 0, report.inputs, (*other, *report.outputs[1:]), ([],)
            )

    with pytest.raises(UsageError, match=r"names its tensors .*'other', 'boxes'.*export again"):
        run(made, golden, counting_plan(), Renaming(tmp_path, ["zebra", "apple"], ["scores", "boxes"]))
