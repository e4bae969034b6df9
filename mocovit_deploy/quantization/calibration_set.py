"""Inputs to calibrate on, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.quantization.recipes import recipe_named

RANDOM = "random"
"""The word of --calibration for made-up inputs."""


@dataclass(frozen=True)
class Judging:
    """Images that files are judged by while the best is searched for."""

    images: Array
    """(n, H, W, C) uint8 pixels, or (n, C, H, W) as the network takes them."""
    labels: Array | None
    """(n,) whole numbers; None if they are not known."""


@dataclass(frozen=True)
class CalibrationSet:
    """Inputs to calibrate on, as PyTorch takes them."""

    source: str
    """What the user gave."""
    inputs: Mapping[str, Array]
    """By input name, (runs, batch, ...)."""
    sha256: str
    """Of all numbers in `inputs`."""
    notes: tuple[str, ...] = ()
    """What a user should know of it, a sentence each: files that were skipped, few images."""
    judging: Judging | None = None
    """Further images of the same source, if a search asked for them."""

    @property
    def is_random(self) -> bool:
        """Were there no images of the user's? Files calibrated so are branded."""
        return self.source == RANDOM

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def as_json(self) -> dict[str, object]:
        """What the manifest says of it."""
        return {"source": self.source, "runs": len(self), "sha256": self.sha256}


def brand_of(calibration: CalibrationSet | None, recipe: str) -> str:
    """What the name of a file says of ranges that no image of the user's was looked at for."""
    is_branded = calibration is not None and calibration.is_random and recipe_named(recipe).is_static
    return "_random_calibration" if is_branded else ""
