"""The table and the lists that commands print about accuracy on the user's own images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.provenance import labels_of, model_of
from mocovit_deploy.formats import format_named
from mocovit_deploy.spec import AccuracyRequest, ModelSpec
from mocovit_deploy.terminal.table import table

if TYPE_CHECKING:
    from mocovit_deploy.accuracy.breakdown import Breakdown
    from mocovit_deploy.contract.accuracy_data import AccuracyData

HEADER = ("file", "images", "right", "original", "drop", "95 % interval, points", "same class")
SHOWN = 5
"""How many classes, pairs of classes and flips the terminal shows for each file."""


class Comparing:
    """Compares files with the networks they were made from. Each network is run once."""

    def __init__(self, asked: AccuracyRequest) -> None:
        self.asked = asked
        self.notes: tuple[str, ...] = ()
        """Messages about images that were left out."""
        self._data: dict[ModelSpec, AccuracyData] = {}

    def compare(self, artifact: Artifact) -> Breakdown:
        """Compare one file with its network. Needs torch.

        Raises `UsageError` if the manifest does not record the network or the images do not fit the file, and
        the errors of reading and running both.
        """
        from mocovit_deploy.accuracy.answers import image_of
        from mocovit_deploy.accuracy.judge import compare_answers, known_classes, require_fitting
        from mocovit_deploy.contract.accuracy_data import AccuracyData

        model, image = model_of(artifact), image_of(artifact)
        known = known_classes(artifact)
        data = self._data.setdefault(model, AccuracyData(self.asked.source, model))
        labelled = data.labelled(image, self.asked.images, known)
        self.notes = tuple(dict.fromkeys((*self.notes, *labelled.notes)))
        require_fitting(labelled, known, artifact.path.name, self.asked.source)
        reference = data.original(image, self.asked.images, known)
        return compare_answers(artifact, format_named(artifact.format).load(artifact), labelled, reference)


def accuracy_text(found: Sequence[tuple[Artifact, Breakdown]]) -> str:
    """A table of all files; then for each file the classes, pairs and images whose answers differ."""
    lines = [table(HEADER, [_row(artifact.path.name, one) for artifact, one in found])]
    for artifact, one in found:
        labels = labels_of(artifact)
        details = [*_classes(one, labels), *_pairs(one, labels), *_flips(one, labels)]
        lines += ["", f"{artifact.path.name}:", *details] if details else []
    return "\n".join(lines)


def _row(name: str, found: Breakdown) -> tuple[str, ...]:
    one = found.evaluation
    return (
        name,
        f"{one.images:,}",
        f"{one.accuracy:.2%}",
        f"{one.reference_accuracy:.2%}",
        f"{100 * one.drop.value:+.2f}",
        f"{100 * one.drop.low:+.2f} to {100 * one.drop.high:+.2f}",
        f"{one.agreement:.2%}" + (f", {one.without_answer} without answer" if one.without_answer else ""),
    )


def _classes(found: Breakdown, labels: Sequence[str]) -> list[str]:
    lost = [one for one in found.by_class if one.right < one.reference_right]
    lost.sort(key=lambda one: one.right - one.reference_right)
    lines = [
        f"  {_name(one.label, labels)}: {one.right} of {one.images} right, the original {one.reference_right}"
        for one in lost
    ]
    return _cut(lines, "classes that lost")


def _pairs(found: Breakdown, labels: Sequence[str]) -> list[str]:
    more = [one for one in found.confusions if one.images > one.reference_images]
    more.sort(key=lambda one: one.reference_images - one.images)
    lines = [
        f"  {_name(one.label, labels)} called {_name(one.named, labels)}: {one.images}, by the original "
        f"{one.reference_images}"
        for one in more
    ]
    return _cut(lines, "pairs of classes")


def _flips(found: Breakdown, labels: Sequence[str]) -> list[str]:
    lines = [
        f"  {one.image} ({_name(one.label, labels)}): {_name(one.named, labels)}, the original says "
        f"{_name(one.reference, labels)}"
        for one in found.flips
    ]
    return _cut(lines, "images with another answer")


def _cut(lines: list[str], what: str) -> list[str]:
    more = len(lines) - SHOWN
    return [*lines[:SHOWN], f"  and {more} more {what}, all with --json"] if more > 0 else lines


def _name(number: int, labels: Sequence[str]) -> str:
    if number < 0:
        return "no answer"
    return labels[number] if number < len(labels) else f"class {number}"
