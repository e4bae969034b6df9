"""Inputs to calibrate on, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.quantization.recipes import recipe_named

RANDOM = "random"
"""The value of --calibration for random inputs."""


@dataclass(frozen=True)
class Judging:
    """Images that a search judges its candidates on."""

    images: Array
    """(n, H, W, C) uint8 pixels, or (n, C, H, W) preprocessed for the network."""
    labels: Array | None
    """(n,) whole numbers; None if they are not known."""


@dataclass(frozen=True)
class CalibrationSet:
    """Inputs to calibrate on, in PyTorch's layout."""

    source: str
    """The value of --calibration."""
    inputs: Mapping[str, Array]
    """By input name, (runs, batch, ...)."""
    sha256: str
    """The digest of all numbers in `inputs`."""
    notes: tuple[str, ...] = ()
    """Notes for the user, one sentence each: files that were skipped, few images."""
    judging: Judging | None = None
    """Further images of the same source, if a search asked for them."""

    @property
    def is_random(self) -> bool:
        """Whether the inputs are random. Files calibrated on them say so in their names."""
        return self.source == RANDOM

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def as_json(self) -> dict[str, object]:
        """Its record in the manifest."""
        return {"source": self.source, "runs": len(self), "sha256": self.sha256}


def brand_of(calibration: CalibrationSet | None, recipe: str) -> str:
    """The part of a file's name that says that its ranges come from random inputs; else empty."""
    is_branded = calibration is not None and calibration.is_random and recipe_named(recipe).is_static
    return "_random_calibration" if is_branded else ""
