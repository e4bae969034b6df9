"""A second file beside a detector's, which suppresses boxes itself (`--boxes suppressed`).

    build/net_fp32.tflite               scores and locations: proven against the original as every file is
    build/suppressed/net_fp32.tflite    the same, with suppression behind it, and only objects as outputs

What is appended is the format's own operator. It is checked against decoding in numpy (`boxes/decode.py`): by
itself, on made-up scores and locations of no, some and hundreds of objects; and the whole file on golden
samples, against the first file's own outputs. It is not kept unless both find the same objects.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from mocovit_deploy.artifacts.artifact import Array, Artifact
from mocovit_deploy.artifacts.golden import Golden
from mocovit_deploy.artifacts.provenance import labels_of
from mocovit_deploy.artifacts.task import DETECTION
from mocovit_deploy.boxes.decode import SUPPRESSED, Decoded, Detection, Limits, decoded, objects_of
from mocovit_deploy.errors import ParityError, UsageError
from mocovit_deploy.formats import SuppressingFormat, format_named
from mocovit_deploy.parity.task import matched
from mocovit_deploy.ship.metadata import FileMetadata
from mocovit_deploy.spec import ExportRequest

FOLDER = SUPPRESSED
"""The folder of the second files, inside that of the first."""
MOST_PX, MOST_SCORE = 1.0, 1e-4
"""The largest difference of a side of a box, in pixels of the network's image, and of a score."""
NEAR_OVERLAP, NEAR_SCORE = 1e-4, 1e-5
"""Overlaps and scores so near their limits may be on either side of them: operators round to float32."""
SAMPLES = 4
"""Golden samples that the whole file is run on."""


@dataclass(frozen=True)
class SuppressedFile:
    """A second file that passed."""

    path: Path
    images: int
    """Made-up ones and golden samples together."""
    objects: int
    """The objects in all of them."""
    max_box_error_px: float
    max_score_error: float

    @property
    def text(self) -> str:
        """One line for people."""
        return (
            f"{self.path.parent.name}/{self.path.name}: suppresses boxes itself; finds the {self.objects} "
            f"objects that numpy decodes in {self.images} images, boxes within {self.max_box_error_px:.1g} px"
        )


def limits_of(task: Mapping[str, Any] | None) -> Limits | None:
    """The limits of the second file; None for a network that gets none."""
    told = (task or {}).get("suppressed")
    return Limits(**told) if told and (task or {}).get("kind") == DETECTION else None


def require_suppressible(
    request: ExportRequest, name: str, task: Mapping[str, Any] | None, batch: int
) -> None:
    """Raise `UsageError` if second files are wanted that cannot be.

    They take one image, and their format must have an operator (`SuppressingFormat`). `name` and `batch` are
    those of the network.
    """
    if limits_of(task) is None:
        return
    if batch != 1 or request.dynamic_batch:
        taken = "any number" if request.dynamic_batch else batch
        raise UsageError(
            f"--boxes suppressed: files take one image, but {name} takes {taken}; leave out --batch and "
            "--dynamic, or give --boxes raw"
        )
    for one in dict.fromkeys(format_name for format_name, _ in request.files):
        if not hasattr(format_named(one), "write_suppressed"):
            raise UsageError(f"--boxes suppressed: {one} files cannot suppress boxes; give --boxes raw")


def without_old(artifact: Artifact) -> None:
    """Remove the second file that an older export left beside a detector: its first file is another now."""
    if (artifact.task or {}).get("kind") != DETECTION:
        return
    old = artifact.path.parent / FOLDER / artifact.path.name
    if old.is_dir():
        shutil.rmtree(old)
    else:
        old.unlink(missing_ok=True)


def write_suppressed(
    artifact: Artifact, golden: Golden, metadata: FileMetadata, limits: Limits, scratch: Path
) -> SuppressedFile:
    """Write and check the second file of a proven detector, and put it in `FOLDER` beside the first.

    It is made in the folder `scratch`, on the same file system. `metadata` describes the first. Raises
    `ParityError` if it finds other objects.
    """
    exporter = cast("SuppressingFormat", format_named(artifact.format))
    folder = scratch / FOLDER
    folder.mkdir(exist_ok=True)
    head, whole = folder / f"head-{artifact.path.name}", folder / artifact.path.name
    exporter.write_suppression(artifact, head, limits)
    outputs = exporter.write_suppressed(artifact, whole, labels_of(artifact), limits)
    names = {one.name: one.name for one in outputs}
    task = {**metadata.task, "boxes": SUPPRESSED, "outputs": names}
    exporter.describe(whole, replace(metadata, task=task), artifact.inputs, outputs)
    checked = [
        _compared(artifact, outputs_, found, limits, exporter)
        for outputs_, found in (
            *_of_head(artifact, head, exporter),
            *_of_whole(artifact, whole, golden, exporter),
        )
    ]
    target = artifact.path.parent / FOLDER / whole.name
    target.parent.mkdir(exist_ok=True)
    without_old(artifact)
    whole.replace(target)
    return SuppressedFile(
        path=target,
        images=len(checked),
        objects=sum(one.objects for one in checked),
        max_box_error_px=max(one.box_px for one in checked),
        max_score_error=max(one.score for one in checked),
    )


_Run = tuple[Mapping[str, Array], tuple[Detection, ...]]
"""Raw outputs of an image, and the objects that a second file finds in it."""


def _of_head(artifact: Artifact, head: Path, exporter: SuppressingFormat) -> Iterator[_Run]:
    find = exporter.load_suppressed(head, artifact.outputs)
    for outputs in made_up(artifact):
        yield outputs, find(outputs)


def _of_whole(artifact: Artifact, whole: Path, golden: Golden, exporter: SuppressingFormat) -> Iterator[_Run]:
    find, run = exporter.load_suppressed(whole, artifact.inputs), exporter.load(artifact)
    for sample in range(min(SAMPLES, len(golden))):
        inputs = {name: array[sample] for name, array in golden.inputs.items()}
        yield run(inputs), find(inputs)


def made_up(artifact: Artifact) -> Iterator[dict[str, Array]]:
    """Raw outputs of a detector with no, a few, and hundreds of objects, many of which overlap; seeded.

    In one image the scores lie around the lowest that counts, a hundredth apart.
    """
    task = artifact.task or {}
    scores_name, boxes_name = task["outputs"]["scores"], task["outputs"]["boxes"]
    shapes = {one.name: tuple(map(int, one.shape)) for one in artifact.outputs}
    anchors, classes = shapes[scores_name][1:]
    generator = np.random.default_rng(0)
    steps = np.arange(-10, 10) / 100 + 0.005
    near = (limits_of(task) or Limits()).least_score + steps
    for logits in (
        np.zeros(0),
        np.log(near / (1 - near)),
        *(generator.normal(0.0, 2.0, objects) for objects in (3, 30, 600)),
    ):
        scores = generator.normal(-9.0, 0.5, shapes[scores_name])
        begin = generator.integers(0, anchors, len(logits))
        for shift in range(3):  # neighbours, which overlap
            label = generator.integers(0, classes, len(logits))
            scores[0, (begin + shift) % anchors, label] = logits - shift
        boxes = generator.normal(0.0, 1.0, shapes[boxes_name])
        yield {scores_name: scores.astype(np.float32), boxes_name: boxes.astype(np.float32)}


@dataclass(frozen=True)
class _Compared:
    objects: int
    box_px: float
    score: float


def _compared(
    artifact: Artifact,
    outputs: Mapping[str, Array],
    found: Sequence[Detection],
    limits: Limits,
    exporter: SuppressingFormat,
) -> _Compared:
    """The differences of `found` to what numpy decodes. Raises `ParityError` if they are other objects."""
    task = artifact.task or {}
    sides = np.array([*task["image_size"], *task["image_size"]], np.float64)
    read = decoded(task, outputs)
    for near in _near(limits):
        wanted = _wanted(read, near, exporter)
        pairs = matched(wanted, found)
        if not len(pairs) == len(wanted) == len(found):
            continue
        boxes = [float((np.abs(np.subtract(one.box, other.box)) * sides).max()) for one, other in pairs]
        scores = [abs(one.score - other.score) for one, other in pairs]
        worst = _Compared(len(pairs), max(boxes, default=0.0), max(scores, default=0.0))
        if worst.box_px <= MOST_PX and worst.score <= MOST_SCORE:
            return worst
    raise ParityError(
        f"{artifact.path.name}: with suppression in the file it finds {len(found)} objects, of which numpy's "
        f"{len(_wanted(read, limits, exporter))} are not the same within {MOST_PX} px; use --boxes raw"
    )


def _wanted(read: Decoded, limits: Limits, exporter: SuppressingFormat) -> tuple[Detection, ...]:
    return objects_of(read, limits, best_class_alone=exporter.BEST_CLASS_ALONE)


def _near(limits: Limits) -> Iterator[Limits]:
    """The limits themselves, then those so near that rounding may pass them."""
    for overlap in (0.0, NEAR_OVERLAP, -NEAR_OVERLAP):
        for score in (0.0, NEAR_SCORE, -NEAR_SCORE):
            yield replace(
                limits, most_overlap=limits.most_overlap + overlap, least_score=limits.least_score + score
            )
