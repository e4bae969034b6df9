"""How a file and the network differ on labelled images: by class, by pair of classes, image by image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mocovit_deploy.accuracy.evaluate import Classes, Evaluation, evaluate


@dataclass(frozen=True, kw_only=True)
class ClassResult:
    """How many images of one class were classified correctly."""

    label: int
    images: int
    right: int
    """The number for the file."""
    reference_right: int
    """The number for the network."""


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """How often images of the class `label` were classified as `named`."""

    label: int
    named: int
    images: int
    """The number for the file."""
    reference_images: int
    """The number for the network."""


@dataclass(frozen=True, kw_only=True)
class Flip:
    """An image for which file and network answer different classes."""

    image: str
    label: int
    reference: int
    """The network's answer."""
    named: int
    """The file's answer."""


@dataclass(frozen=True, kw_only=True)
class Breakdown:
    """An evaluation with its details."""

    evaluation: Evaluation
    by_class: tuple[ClassResult, ...]
    """In the order of the labels."""
    confusions: tuple[Confusion, ...]
    """The file's wrong answers, the most frequent first."""
    flips: tuple[Flip, ...]
    """In the order of the images."""

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        parts = {name: [asdict(one) for one in getattr(self, name)] for name in PARTS}
        return {**asdict(self.evaluation), **parts}


PARTS = ("by_class", "confusions", "flips")


def break_down(labels: Classes, reference: Classes, found: Classes, names: Sequence[str]) -> Breakdown:
    """Compare a file's answers `found` with the network's, `reference`. All are (n,), one for each image.

    `names` are the names of the images. Raises `ValueError` if the lengths differ.
    """
    rows = list(zip(names, *(side.tolist() for side in (labels, reference, found)), strict=True))
    wrong = Counter((label, named) for _, label, _, named in rows if named != label)
    theirs = Counter((label, named) for _, label, named, _ in rows if named != label)
    images, right, theirs_right = (
        Counter(row[1] for row in rows if side is None or row[side] == row[1]) for side in (None, 3, 2)
    )
    return Breakdown(
        evaluation=evaluate(labels, reference, found),
        by_class=tuple(
            ClassResult(
                label=label, images=images[label], right=right[label], reference_right=theirs_right[label]
            )
            for label in sorted(images)
        ),
        confusions=tuple(
            Confusion(label=label, named=named, images=count, reference_images=theirs[label, named])
            for (label, named), count in sorted(wrong.items(), key=lambda one: (-one[1], one[0]))
        ),
        flips=tuple(
            Flip(image=name, label=label, reference=theirs, named=named)
            for name, label, theirs, named in rows
            if theirs != named
        ),
    )
