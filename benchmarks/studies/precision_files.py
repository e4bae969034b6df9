"""The files of the study `precision`, ours and stock, written by child processes with the same images."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.studies.study import EXPORT, RowError, child_report, product_digest
from examples.digits.networks import Trained
from mocovit_deploy.accuracy.evaluate import Evaluation, evaluate
from mocovit_deploy.artifacts.artifact import Array, as_taken
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.formats import format_named
from mocovit_deploy.parity.samples import preprocess
from mocovit_deploy.spec import InputSpec

CALIBRATION = "examples.digits.data:training_pictures"
CALIBRATION_IMAGES = 128
TIMEOUT_S = 4 * 3600.0

IN_HALF = 200
"""Held-out images that a file is asked about in half precision: those with the smallest margins."""

HELD_OUT = """
import json, sys
from dataclasses import replace
import numpy as np
from examples.digits import data
from examples.digits.networks import NETWORKS
from examples.digits.reference import answers
from mocovit_deploy.models.load import load_network
from mocovit_deploy.spec import InputSpec, ModelSpec
name, output = json.loads(sys.argv[1])
one = next(one for one in NETWORKS if one.name == name)
spec = ModelSpec(one.model, arguments=one.arguments, checkpoint=one.checkpoint, num_classes=data.CLASSES,
                 input=InputSpec(size=one.size))
images, labels = data.held_out_pictures(spec.input)
network = load_network(spec)
picture = replace(spec.input, preprocessing=network.input.preprocessing)
reference = answers(network.module, data.held_out(), picture, len(labels))
np.savez(output, images=images, labels=labels, reference=reference)
print(json.dumps({"accuracy": float((reference == labels).mean())}))
"""
"""A program that writes the held-out images, their labels and the classes that the float network gives."""

STOCK = """
import json, os, sys
report = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # the converter writes progress to standard output
from pathlib import Path
import litert_torch
import numpy as np
from ai_edge_quantizer import quantizer, recipe
from ai_edge_quantizer.algorithm_manager import AlgorithmName
from exporters.tflite.fp16 import allow_half
from mocovit_deploy.models.load import load_network
from mocovit_deploy.parity.samples import preprocess
from mocovit_deploy.spec import InputSpec, ModelSpec, OwnInput
from mocovit_deploy.user_functions import load_function
model, arguments, size, checkpoint, classes, source, images, folder = json.loads(sys.argv[1])
picture = OwnInput(size=size) if checkpoint is None else InputSpec(size=size)
spec = ModelSpec(model, arguments=tuple(map(tuple, arguments)), num_classes=classes, input=picture,
                 checkpoint=None if checkpoint is None else Path(checkpoint))
network = load_network(spec)
if source == "random":
    runs = network.inputs.for_random_calibration(0, images)[0]
else:
    pixels, _ = load_function(source)(network.input, images)
    runs = np.stack([preprocess(one, network.input.preprocessing) for one in pixels])[:, None]
plain = Path(folder, "fp32.tflite")
example = network.inputs.for_capture(0, False)
litert_torch.convert(network.module.eval(), tuple(example)).export(str(plain))
Path(folder, "fp16.tflite").write_bytes(allow_half(plain.read_bytes()))
failed = {}
for name, algorithm in (("minmax", AlgorithmName.MIN_MAX_UNIFORM_QUANT), ("mse", AlgorithmName.MSE)):
    try:
        one = quantizer.Quantizer(str(plain), recipe.static_wi8_ai8(algorithm))
        found = one.calibrate({"serving_default": [{"args_0": run} for run in runs]})
        one.quantize(found).export_model(folder + f"/int8_{name}.tflite", overwrite=True)
    except Exception as error:
        failed["int8_" + name] = f"{type(error).__name__}: {error}"[:200]
report.write(json.dumps(failed))
"""
"""A program that converts a network with litert-torch's defaults, and that file with ai-edge-quantizer's
static recipe, once for each of its algorithms for weights that quantize activations too. The calibration
images are those of our files.
"""

ANSWERS = """
import json, sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from mocovit_deploy.accuracy.evaluate import top_1
from mocovit_deploy.parity.samples import preprocess
from mocovit_deploy.spec import Preprocessing
path, held, output = json.loads(sys.argv[1])
images = np.load(held)["images"]
try:
    interpreter = Interpreter(path)
    interpreter.allocate_tensors()
    refused = None
except RuntimeError as error:
    refused = str(error).strip().splitlines()[-1]
    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(path, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
(taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
(scale, zero), found = taken["quantization"], []
for one in images:
    batch = preprocess(one, Preprocessing())[None]
    if scale:
        batch = np.clip(np.round(batch / scale) + zero, -128, 127).astype(taken["dtype"])
    interpreter.set_tensor(taken["index"], batch)
    interpreter.invoke()
    found.append(interpreter.get_tensor(given["index"])[0].copy())
np.save(output, top_1(np.array(found)))
print(json.dumps({"refused": refused}))
"""
"""A program that runs a stock file on the held-out images, by TFLite's own kernels if XNNPACK refuses it.

ai-edge-quantizer gives some files an input in int8, others one in float.
"""


@dataclass(frozen=True)
class HeldOut:
    """Held-out images, their true classes, and the classes that the float network gives."""

    path: Path
    images: Array
    """(n, S, S, 3) uint8."""
    labels: Array
    """(n,)."""
    reference: Array
    """The classes that the float network gives, (n,)."""

    def judge(self, answers: Array) -> Evaluation:
        """Compare the classes (n,) that a file gives with the true ones and the float network's."""
        return evaluate(self.labels, self.reference, answers)


def held_out(network: Trained, folder: Path) -> HeldOut:
    """The held-out images of a network, kept in `folder`. Raises `RowError` where its child process fails."""
    path = folder / f"held-out-{network.name}-{product_digest(*network.sources)}.npz"
    if not path.exists():
        fresh = path.with_name("new-" + path.name)
        child_report(["-c", HELD_OUT, json.dumps([network.name, str(fresh)])])
        fresh.rename(path)
    with np.load(path) as arrays:
        return HeldOut(path, arrays["images"], arrays["labels"], arrays["reference"])


def words_of(network: Trained) -> list[str]:
    """The options of `mocovit-export` that name a trained network, and how its images were prepared.

    timm's own networks may expect other means: those of MobileViT are 0.
    """
    words = ["--model", network.model, "--image-size", str(network.size), "--num-classes", "10"]
    how = InputSpec(size=network.size).preprocessing
    words += ["--scale", repr(how.scale)]
    words += ["--mean", ",".join(map(repr, how.mean)), "--std", ",".join(map(repr, how.std))]
    for name, value in network.arguments:
        words += ["--model-arg", f"{name}={value}"]
    return [*words, "--checkpoint", str(network.checkpoint)]


def export_digits(
    network: Trained, format_name: str, recipes: str, folder: Path, held: Path, images: int | None
) -> dict[str, Any]:
    """Export a trained network, calibrated on training images, and measure the files' accuracy.

    Accuracy is measured on the first `images` held-out images of `held` (None: all). Returns the report of
    `mocovit-export --json`. Raises `RowError` where that fails.
    """
    words = ["--format", format_name, "--precision", recipes, "--data", str(held), "--json"]
    words += ["--calibration", CALIBRATION, "--calibration-images", str(CALIBRATION_IMAGES)]
    words += ["--output-dir", str(folder)] + ([] if images is None else ["--images", str(images)])
    return child_report([*EXPORT, *words_of(network), *words], timeout_s=TIMEOUT_S)


def export_full_size(model: str, size: int | None, folder: Path) -> dict[str, Any]:
    """Search the fastest file of a network with random weights.

    Returns the report of `mocovit-export --json`. Raises `RowError` where that fails.
    """
    words = ["--model", model, "--format", "tflite", "--precision", "auto", "--json"]
    words += ["--calibration", "random", "--output-dir", str(folder)]
    words += [] if size is None else ["--image-size", str(size)]
    return child_report([*EXPORT, *words], timeout_s=TIMEOUT_S)


def write_stock(network: Trained | None, model: str, size: int | None, folder: Path) -> dict[str, str]:
    """Write the stock files to `folder`. Returns, by name, why some could not be written.

    Raises `RowError` where none was written.
    """
    trained = (
        [network.arguments, network.size, str(network.checkpoint), 10, CALIBRATION]
        if network is not None
        else [(), size, None, None, "random"]
    )
    asked = [model, *trained, CALIBRATION_IMAGES, str(folder)]
    return child_report(["-c", STOCK, json.dumps(asked)], timeout_s=TIMEOUT_S)


class StockAnswers(NamedTuple):
    """What a stock file computed."""

    classes: Array
    """The class that it gives for each held-out image, (n,)."""
    refused: str | None
    """XNNPACK's reason to refuse it; None if XNNPACK computed the classes."""


def stock_answers(path: Path, held: HeldOut, scratch: Path) -> StockAnswers:
    """Run a stock file on the held-out images. Raises `RowError` where its child process fails."""
    output = scratch / f"{path.stem}.npy"
    told = child_report(["-c", ANSWERS, json.dumps([str(path), str(held.path), str(output)])])
    return StockAnswers(np.load(output), told["refused"])


def judge_in_half(path: Path, held: HeldOut) -> dict[str, Any]:
    """The accuracy of a TFLite file of ours in half precision.

    All images are run in this machine's arithmetic. The `IN_HALF` images whose two largest logits are nearest
    are run again in the numpy reference of half precision. The others are taken to keep their classes if
    `moved`, by how much half precision changed the difference of two logits at most, is below
    `smallest_other`, the smallest difference among the others. Raises `RowError` where half precision gives
    NaN or infinity.
    """
    artifact = read_manifest(path)
    exporter = format_named(artifact.format)
    plain, half = exporter.load(artifact), exporter.load_half(artifact)
    assert half is not None
    (taken,), (given,) = artifact.inputs, artifact.outputs

    def logits(predictor: Any, image: Array) -> Array:
        batch = preprocess(image, artifact.preprocessing)[None]
        out: Array = predictor({taken.name: as_taken(batch, taken)})[given.name][0]
        return out

    here = np.stack([logits(plain, one) for one in held.images])
    ordered = np.sort(here, axis=1)
    margins = ordered[:, -1] - ordered[:, -2]
    nearest = np.argsort(margins)[:IN_HALF]
    there = here.copy()
    for index in nearest:
        there[index] = logits(half, held.images[index])
    moved = np.abs(there[nearest] - here[nearest])
    if not np.isfinite(moved).all():
        raise RowError("half precision gives NaN or infinity")
    told = held.judge(there.argmax(axis=1))
    return {
        **as_row(told),
        "moved": 2 * float(moved.max()),
        "smallest_other": float(np.sort(margins)[IN_HALF]) if len(margins) > IN_HALF else None,
    }


def as_row(told: Evaluation) -> dict[str, Any]:
    """The figures of an evaluation that the tables show."""
    return {
        "images": told.images,
        "accuracy": told.accuracy,
        "reference_accuracy": told.reference_accuracy,
        "drop": told.drop.value,
        "drop_low": told.drop.low,
        "drop_high": told.drop.high,
        "agreement": told.agreement,
    }
