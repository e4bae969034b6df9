"""A detector's Core ML file as a pipeline that ends in Core ML's own non-maximum suppression.

    image - network - scores, boxes             the file as it was proven, unchanged
                        |
                     decode                     sigmoid, and boxes as middle x, middle y, width and height
                        |
                  nonMaximumSuppression         confidence (objects, classes), coordinates (objects, 4)

Vision takes such a file as an object detector: the outputs are named as Vision expects them, and the labels
are in the last model. Coordinates are fractions of the image.

Core ML gives a box only its best class, and boxes of different classes do not suppress each other
(`pickTop.perClass`). It bounds neither how many objects there are, nor says whether a score that equals the
bound counts. The first two models are executed here with numpy; the last one is defined in words only, and
`load_suppressed` does what they say. Core ML itself was never run on it: that takes macOS.

Source    NonMaximumSuppression.proto and Model.proto of coremltools' mlmodel/format
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from exporters.coreml.execute import execute
from exporters.coreml.metadata import SPECIFICATION
from exporters.coreml.read import read_programs
from exporters.coreml.toolchain import coremltools, quiet_coremltools
from mocovit_deploy.artifacts.artifact import Array, Artifact
from mocovit_deploy.boxes.anchors import anchors_of
from mocovit_deploy.boxes.decode import LARGEST_EXPONENT, Decoded, Detection, Limits, objects_of
from mocovit_deploy.spec import TensorSpec

CONFIDENCE, COORDINATES = "confidence", "coordinates"
"""The outputs, by the names that Vision expects."""
ALL_CONFIDENCE, ALL_COORDINATES = "all_confidence", "all_coordinates"
"""The same of every anchor, between the second model and the last."""
BEST_CLASS_ALONE = True
"""An anchor has its best class alone."""
OBJECTS = "objects"
"""The name of the dimension that is as long as the objects are many."""
LEAST_VERSION = 5
"""The version of the specification from which the lengths of arrays may vary, and so of the last model."""


def write_suppressed(
    artifact: Artifact, path: Path, labels: Sequence[str], limits: Limits
) -> tuple[TensorSpec, ...]:
    """Write the file of a detector, raw and with batch 1, to `path` as a pipeline that ends in suppression.

    Classes without `labels` are called "class 0", "class 1" and so on. Returns the outputs that it then has.
    """
    ct = coremltools()
    with quiet_coremltools():
        network = ct.models.MLModel(str(artifact.path), skip_model_load=True)
        version = network.get_spec().specificationVersion
        models = [network, *_appended(ct, artifact, labels, limits, version)]
        _save(ct.utils.make_pipeline(*models), path)
    classes = int((artifact.task or {})["classes"])
    return (
        TensorSpec(CONFIDENCE, (OBJECTS, classes), "float32"),
        TensorSpec(COORDINATES, (OBJECTS, 4), "float32"),
    )


def write_suppression(artifact: Artifact, path: Path, limits: Limits) -> None:
    """Write to `path` only what `write_suppressed` adds, with the file's raw outputs as its inputs."""
    ct = coremltools()
    with quiet_coremltools():
        version = ct.models.MLModel(str(artifact.path), skip_model_load=True).get_spec().specificationVersion
        _save(ct.utils.make_pipeline(*_appended(ct, artifact, (), limits, version)), path)


def load_suppressed(
    path: Path, _inputs: Sequence[TensorSpec]
) -> Callable[[Mapping[str, Array]], tuple[Detection, ...]]:
    """From named inputs to the objects, the best first: programs in numpy, suppression as it is defined."""
    programs = read_programs(path)
    ct = coremltools()
    last = ct.proto.Model_pb2.Model.FromString((path / SPECIFICATION).read_bytes()).pipeline.models[-1]
    suppression = last.nonMaximumSuppression
    limits = Limits(suppression.confidenceThreshold, suppression.iouThreshold, most=Limits.most)
    names = suppression.confidenceInputFeatureName, suppression.coordinatesInputFeatureName

    def run(inputs: Mapping[str, Array]) -> tuple[Detection, ...]:
        values = dict(inputs)
        for program in programs:
            taken = {one.name: values[one.name] for one in program.inputs}
            values |= execute(program, taken, program.arithmetic)
        confidence, coordinates = (values[name].astype(np.float64) for name in names)
        middle, half = coordinates[:, 1::-1], coordinates[:, :1:-1] / 2
        boxes = np.concatenate([middle - half, middle + half], axis=1)
        return objects_of(Decoded(confidence, boxes), limits, best_class_alone=BEST_CLASS_ALONE)

    return run


def _appended(
    ct: Any, artifact: Artifact, labels: Sequence[str], limits: Limits, version: int
) -> tuple[Any, Any]:
    decode = _decode(ct, artifact, ct.target(version))
    return decode, _suppression(ct, decode, artifact.task or {}, labels, limits)


def _decode(ct: Any, artifact: Artifact, target: Any) -> Any:
    """The second model: `ALL_CONFIDENCE` (anchors, classes) and `ALL_COORDINATES` (anchors, 4)."""
    from coremltools.converters.mil import Builder

    task: Mapping[str, Any] = artifact.task or {}
    scores, boxes = task["outputs"]["scores"], task["outputs"]["boxes"]
    y, x, height, width = anchors_of(task).astype(np.float32).T
    y_scale, x_scale, h_scale, w_scale = (np.float32(one) for one in task["scales"])
    middles, sides = np.stack([x, y], axis=1), np.stack([width, height], axis=1)
    steps = np.stack([width / x_scale, height / y_scale], axis=1)
    scales = np.array([w_scale, h_scale], np.float32)
    shapes = {one.name: one.shape for one in artifact.outputs}

    def turned(both: Any) -> Any:
        """(anchors, 2): y and x as x and y."""
        return Builder.reverse(x=both, axes=[1])

    @Builder.program(  # type: ignore[untyped-decorator]
        input_specs=[Builder.TensorSpec(shape=shapes[name]) for name in (scores, boxes)],
        opset_version=target,
    )
    def program(logits: Any, told: Any) -> Any:
        told = Builder.squeeze(x=told, axes=[0])
        offsets = turned(Builder.slice_by_index(x=told, begin=[0, 0], end=[0, 2], end_mask=[True, False]))
        sizes = turned(Builder.slice_by_index(x=told, begin=[0, 2], end=[0, 4], end_mask=[True, False]))
        middle = Builder.add(x=Builder.mul(x=offsets, y=steps), y=middles)
        bounded = Builder.minimum(x=Builder.real_div(x=sizes, y=scales), y=np.float32(LARGEST_EXPONENT))
        grown = Builder.mul(x=Builder.exp(x=bounded), y=sides)
        confidence = Builder.sigmoid(x=Builder.squeeze(x=logits, axes=[0]), name=ALL_CONFIDENCE)
        return confidence, Builder.concat(values=[middle, grown], axis=1, name=ALL_COORDINATES)

    model = ct.convert(
        program,
        convert_to="mlprogram",
        skip_model_load=True,
        compute_precision=ct.precision.FLOAT32,
        minimum_deployment_target=target,
    )
    spec = model.get_spec()
    for parameter, name in (("logits", scores), ("told", boxes)):
        ct.utils.rename_feature(spec, parameter, name)
    return ct.models.MLModel(spec, weights_dir=model.weights_dir, skip_model_load=True)


def _suppression(ct: Any, decode: Any, task: Mapping[str, Any], labels: Sequence[str], limits: Limits) -> Any:
    """The last model."""
    classes = int(task["classes"])
    anchors = len(anchors_of(task))
    spec = ct.proto.Model_pb2.Model()
    spec.specificationVersion = max(decode.get_spec().specificationVersion, LEAST_VERSION)
    floats = ct.proto.FeatureTypes_pb2.ArrayFeatureType.FLOAT32
    for given, returned, numbers in (
        (ALL_CONFIDENCE, CONFIDENCE, classes),
        (ALL_COORDINATES, COORDINATES, 4),
    ):
        taken = spec.description.input.add(name=given).type.multiArrayType
        taken.dataType = floats
        taken.shape.extend([anchors, numbers])
        made = spec.description.output.add(name=returned).type.multiArrayType
        made.dataType = floats
        made.shapeRange.sizeRanges.add(lowerBound=0, upperBound=-1)
        made.shapeRange.sizeRanges.add(lowerBound=numbers, upperBound=numbers)
    last = spec.nonMaximumSuppression
    last.confidenceInputFeatureName, last.coordinatesInputFeatureName = ALL_CONFIDENCE, ALL_COORDINATES
    last.confidenceOutputFeatureName, last.coordinatesOutputFeatureName = CONFIDENCE, COORDINATES
    last.confidenceThreshold, last.iouThreshold = limits.least_score, limits.most_overlap
    last.pickTop.perClass = True
    last.stringClassLabels.vector.extend(labels or [f"class {label}" for label in range(classes)])
    return ct.models.MLModel(spec, skip_model_load=True)


def _save(model: Any, path: Path) -> None:
    # coremltools saves only to names that end in .mlpackage, and `path` need not end so.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".coreml-") as scratch:
        package = Path(scratch) / "model.mlpackage"
        model.save(str(package))
        shutil.rmtree(path, ignore_errors=True)
        package.rename(path)
