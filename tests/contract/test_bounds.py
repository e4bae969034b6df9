"""Every bound is enrolled: it holds of a sound file at what was measured, and fails on one that is worse."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from tflite_builder import TfliteBuilder

from benchmarks.toolchain import bundle as bundles
from benchmarks.toolchain import emulator
from mocovit_deploy.accuracy.labelled import Labelled
from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.golden import Golden, golden_path, read_golden, write_golden
from mocovit_deploy.artifacts.manifest import read_manifest, write_manifest
from mocovit_deploy.contract.accuracy_data import AccuracyData
from mocovit_deploy.contract.bounds import METRICS, metric_named
from mocovit_deploy.contract.check import check_bounds, judge_metric
from mocovit_deploy.contract.evidence import Conditions, Evidence
from mocovit_deploy.contract.metric import Measured
from mocovit_deploy.errors import MissingToolError, ParityError, UsageError
from mocovit_deploy.files import digest
from mocovit_deploy.parity.decide import FAIL, NOT_RUN, PASS
from mocovit_deploy.spec import Preprocessing, TensorSpec

MODELS = Path(__file__).parent.parent / "benchmarks" / "models"
COUNTED = Conditions(runtime="litert", cpu="cortex-a76")


def copied(name, folder):
    for path in MODELS.glob(f"{name}*"):
        shutil.copy(path, folder / path.name)
    return folder / name


def changed_onnx(folder, change):
    """tiny.onnx after `change(graph, onnx)`."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    path = copied("tiny.onnx", folder)
    model = onnx.load(path)
    change(model.graph, onnx)
    onnx.save(model, path)
    return read_manifest(path)


def colours(folder, columns=(0, 1, 2)):
    """A classifier by hand: the mean of each colour is the logit of its class, in the order of `columns`."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    helper, real = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["means"]),
        helper.make_node("Flatten", ["means"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weight"], ["logits"]),
    ]
    weight = (np.eye(3) * 1.001)[:, list(columns)].astype(np.float32)  # not quite what it should be
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("image", real, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("logits", real, [1, 3])],
        [onnx.numpy_helper.from_array(weight, "weight")],
    )
    path = folder / "colours.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    images = np.eye(3, dtype=np.float32)[:, None, :, None, None] + np.zeros((3, 1, 3, 8, 8), np.float32)
    write_golden(path, Golden(("r", "g", "b"), {"image": images}, {"logits": images.mean((3, 4))}))
    image = TensorSpec("image", (1, 3, 8, 8), "float32", "nchw")
    logits = TensorSpec("logits", (1, 3), "float32")
    plain = Preprocessing(mean=(0.0,) * 3, std=(1.0,) * 3)
    artifact = Artifact(
        path,
        "onnx",
        "fp32",
        "colours",
        "by hand",
        (image,),
        (logits,),
        plain,
        digest(path),
        digest(golden_path(path)),
    )
    write_manifest(artifact)
    return artifact


def with_anchors(artifact):
    """The file with a second output, which is a constant."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    anchors = np.linspace(1, 9, 4, dtype=np.float32)
    model = onnx.load(artifact.path)
    model.graph.node.append(
        onnx.helper.make_node("Constant", [], ["anchors"], value=onnx.numpy_helper.from_array(anchors))
    )
    model.graph.output.append(onnx.helper.make_tensor_value_info("anchors", onnx.TensorProto.FLOAT, [4]))
    onnx.save(model, artifact.path)
    golden = read_golden(artifact)
    outputs = {**golden.outputs, "anchors": np.stack([anchors] * len(golden))}
    write_golden(artifact.path, dataclasses.replace(golden, outputs=outputs))
    changed = dataclasses.replace(
        artifact,
        outputs=(*artifact.outputs, TensorSpec("anchors", (4,), "float32")),
        sha256=digest(artifact.path),
        golden_sha256=digest(golden_path(artifact.path)),
    )
    write_manifest(changed)
    return changed


def mixed_up(folder):
    """The same, with two classes in each other's place."""
    return colours(folder, (0, 2, 1))


def there_and_back(folder):
    """Two transposes that undo each other, before the first operator."""

    def change(graph, onnx):
        image = graph.input[0].name
        there = onnx.helper.make_node("Transpose", [image], ["there"], perm=[0, 2, 3, 1])
        back = onnx.helper.make_node("Transpose", ["there"], ["back"], perm=[0, 3, 1, 2])
        for node in graph.node:
            node.input[:] = ["back" if name == image else name for name in node.input]
        graph.node.insert(0, back)
        graph.node.insert(0, there)

    return changed_onnx(folder, change)


def sound(folder):
    return changed_onnx(folder, lambda _graph, _onnx: None)


def model(name):
    return lambda _folder: read_manifest(MODELS / name)


def off_the_gpu(folder):
    """A file with a GATHER_ND."""
    builder = TfliteBuilder()
    index = builder.constant(np.array([[0, 0, 1]], np.int32))
    rows = builder.op("GATHER_ND", [builder.input("image", (1, 4, 4, 8)), index], (1, 8))
    path = folder / "gather.tflite"
    path.write_bytes(builder.file({"rows": rows}))
    return dataclasses.replace(read_manifest(MODELS / "tiny.tflite"), path=path)


# word -> how a sound file and a worse one are made, and the conditions they are judged under
PAIRS = {
    "max_error": (colours, mixed_up, Conditions()),
    "min_sqnr_db": (colours, mixed_up, Conditions()),
    "min_top1_agreement": (colours, mixed_up, Conditions()),
    "min_accuracy": (colours, mixed_up, Conditions()),
    "max_accuracy_drop": (colours, mixed_up, Conditions()),
    "max_partitions": (model("tiny.tflite"), model("split.tflite"), Conditions()),
    "max_outside_xnnpack": (model("tiny.tflite"), model("split.tflite"), Conditions()),
    "max_outside_gpu": (model("tiny.tflite"), off_the_gpu, Conditions()),
    "max_operators": (sound, there_and_back, Conditions()),
    "max_transposes": (sound, there_and_back, Conditions()),
    "max_size_bytes": (sound, there_and_back, Conditions()),
    "instructions": (model("tiny.tflite"), model("split.tflite"), COUNTED),
    "max_instructions": (model("tiny.tflite"), model("split.tflite"), COUNTED),
}


@dataclasses.dataclass
class Known(AccuracyData):
    """Images of one colour each, and labels that the sound file gives: the original is always right."""

    right: np.ndarray | None = None

    def labelled(self, image, images, known):
        hues = np.random.default_rng(0).integers(0, 256, (200, 1, 1, 3), np.uint8)
        pictures = np.broadcast_to(hues, (200, image.size, image.size, 3))
        return Labelled(pictures, np.zeros(200, np.int64) if self.right is None else self.right)

    def original(self, image, images, known):
        return self.right


def evidence(artifact, conditions, right=None):
    return Evidence(artifact, conditions, Known("images", None, right=right))


def needs_emulator():
    try:
        emulator.find_emulator()
    except MissingToolError as error:
        pytest.skip(str(error))
    if not bundles.bundle_folder("litert").is_dir():
        pytest.skip("no bundle of litert in the cache folder; run: mocovit-bench bundle")


def test_every_bound_is_held_to_failing():
    assert {metric.word for metric in METRICS} == set(PAIRS)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.word)
def test_a_bound_holds_of_a_sound_file_and_fails_on_a_worse_one(metric, tmp_path):
    make_sound, make_worse, conditions = PAIRS[metric.word]
    if conditions is COUNTED:
        needs_emulator()
    for name in ("sound", "worse"):
        (tmp_path / name).mkdir()
    good, bad = make_sound(tmp_path / "sound"), make_worse(tmp_path / "worse")
    right = None
    if "data" in metric.needs:
        right = evidence(good, conditions).answers
        assert len(set(right.tolist())) > 1
    measured = metric.measure(evidence(good, conditions, right))
    (kept,) = check_bounds(evidence(good, conditions, right), [(metric.word, measured.value)])
    (missed,) = check_bounds(evidence(bad, conditions, right), [(metric.word, measured.value)])
    assert (kept.verdict, kept.error) == (PASS, None), kept.reason
    assert missed.verdict == FAIL, missed
    assert isinstance(missed.error, metric.fails)
    assert metric.word in missed.reason
    assert kept.value == measured.value


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.word)
def test_nan_fails_every_bound(metric):
    limit = 1.0 if metric.unit.whole else 0.5
    assert judge_metric(metric, limit, Measured(float("nan"), "test")).verdict == FAIL


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.word)
def test_bounds_that_cannot_be_meant_are_refused(metric):
    for value in (float("nan"), float("inf"), -1, True, "1", None, [1]):
        with pytest.raises(UsageError):
            metric.limit(value)
    if metric.unit.whole:
        with pytest.raises(UsageError, match="whole number"):
            metric.limit(1.0)
    if metric.way == "at least":
        with pytest.raises(UsageError, match="every file meets"):
            metric.limit(0)
    elif metric.unit.largest is not None:
        with pytest.raises(UsageError, match="every file meets"):
            metric.limit(metric.unit.largest)


@pytest.mark.parametrize("word", ["max_error", "min_sqnr_db", "min_top1_agreement"])
def test_a_bound_that_a_constant_output_meets_is_not_run(word, tmp_path):
    metric = metric_named(word)
    found = metric.measure(evidence(colours(tmp_path), Conditions()))
    assert found.constant is not None
    assert judge_metric(metric, found.constant, found).verdict == NOT_RUN
    assert isinstance(judge_metric(metric, found.constant, found).error, ParityError)


@pytest.mark.parametrize("word", ["max_error", "min_sqnr_db"])
def test_a_constant_output_beside_others_leaves_their_bounds_as_they_are(word, tmp_path):
    alone = metric_named(word).measure(evidence(colours(tmp_path), Conditions()))
    beside = metric_named(word).measure(evidence(with_anchors(colours(tmp_path)), Conditions()))
    assert (beside.value, beside.constant) == (alone.value, alone.constant)


def test_flips_are_said_also_those_of_half_precision(tmp_path):
    swapped = colours(tmp_path, (0, 2, 1))
    found = evidence(swapped, Conditions()).flips
    assert found[0].startswith("logits on g: class 2, the original says 1 with a margin of ")
    assert len(found) == 2
    right = colours(tmp_path)
    assert evidence(right, Conditions()).flips == ()
    parity = {"half": {"arithmetic": "fp16", "flips": ["logits on g: class 2"]}}
    halved = dataclasses.replace(right, parity=parity)
    assert evidence(halved, Conditions()).flips == ("logits on g: class 2, in fp16 arithmetic",)


def test_nan_in_a_file_fails_every_bound_on_its_outputs(tmp_path):
    def poison(graph, onnx):
        weight = graph.initializer[0]
        weight.raw_data = np.full(weight.dims, np.nan, np.float32).tobytes()

    poisoned = changed_onnx(tmp_path, poison)
    bounds = [("max_error", 0.9), ("min_sqnr_db", 0.1), ("min_top1_agreement", 0.01)]
    checks = check_bounds(evidence(poisoned, Conditions()), bounds)
    assert [check.verdict for check in checks] == [FAIL] * 3
    assert all(check.value is None for check in checks)
    (answered,) = check_bounds(
        evidence(poisoned, Conditions(), np.zeros(200, np.int64)), [("min_accuracy", 0.01)]
    )
    assert answered.verdict == FAIL
    assert "NaN or infinity on 200" in answered.reason


def test_outputs_in_another_arithmetic_than_asked_for_are_not_run():
    asked = Conditions(arithmetic="fp16")
    (check,) = check_bounds(evidence(read_manifest(MODELS / "tiny.tflite"), asked), [("max_error", 0.1)])
    assert check.verdict == NOT_RUN
    assert "computed in fp32" in check.reason
    assert check.error.exit_status == 4


def test_counting_without_an_emulator_is_not_run(monkeypatch):
    def absent(**_options):
        raise MissingToolError("counting needs an emulator that loads plugins; run: mocovit-bench emulator")

    monkeypatch.setattr(emulator, "find_emulator", absent)
    (check,) = check_bounds(evidence(read_manifest(MODELS / "tiny.tflite"), COUNTED), [("instructions", 1.0)])
    assert (check.verdict, check.error.exit_status) == (NOT_RUN, 8)
    assert "mocovit-bench emulator" in check.reason


def test_a_file_that_gives_another_output_is_not_run(tmp_path):
    def rename(graph, _onnx):
        for node in graph.node:
            node.output[:] = ["renamed" if name == graph.output[0].name else name for name in node.output]
        graph.output[0].name = "renamed"

    (check,) = check_bounds(evidence(changed_onnx(tmp_path, rename), Conditions()), [("max_error", 0.1)])
    assert check.verdict == NOT_RUN
    assert "does not return numbers as output logits, as its golden file does" in check.reason


def test_what_nobody_foresaw_is_not_run_and_the_rest_goes_on(monkeypatch):
    tiny = evidence(read_manifest(MODELS / "tiny.tflite"), Conditions())
    monkeypatch.setattr(Evidence, "differences", property(lambda _self: 1 / 0))
    broken, sized = check_bounds(tiny, [("max_error", 0.1), ("max_size_bytes", 10_000.0)])
    assert (broken.verdict, broken.error.exit_status) == (NOT_RUN, 1)
    assert broken.reason == "internal error: ZeroDivisionError: division by zero"
    assert isinstance(broken.error.__cause__, ZeroDivisionError)
    assert sized.verdict == PASS


@pytest.mark.parametrize("word", ["max_error", "min_sqnr_db", "min_top1_agreement"])
def test_a_golden_file_with_nothing_in_it_is_not_run(word, tmp_path):
    artifact = colours(tmp_path)
    write_golden(artifact.path, Golden((), {"image": np.zeros((0, 1, 3, 8, 8))}, {}))
    emptied = dataclasses.replace(artifact, golden_sha256=digest(golden_path(artifact.path)))
    (check,) = check_bounds(evidence(emptied, Conditions()), [(word, 0.5)])
    assert (check.verdict, check.error.exit_status) == (NOT_RUN, 2), "no golden file of this manifest"
    assert check.reason


def test_labels_beyond_the_classes_are_refused():
    beyond = np.full(200, 10)
    tiny = read_manifest(MODELS / "tiny.tflite")
    (check,) = check_bounds(evidence(tiny, Conditions(), beyond), [("min_accuracy", 0.5)])
    assert check.verdict == NOT_RUN
    assert "labels up to 10" in check.reason
