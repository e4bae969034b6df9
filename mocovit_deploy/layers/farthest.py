"""Where to look when outputs are wrong and no layer seems to be.

    output_2     off by 1.7e-05 on variation 3, the tolerance is 1e-05
    body.5       off by 4.0e-06 alone: within the bound, amplified by what follows
    the others   off by 1e-07 alone: rounding

Two samples are looked into; a defect behind a ReLU may act on others only. The sample of the worst output
shows it, and where errors grow on their way the layer that is farthest off alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.golden import Golden
from mocovit_deploy.formats import Predictor
from mocovit_deploy.layers.taps import LayerReading
from mocovit_deploy.parity.compare import Difference
from mocovit_deploy.parity.decide import FAIL
from mocovit_deploy.parity.verdict import check_predictor


def worst_output(artifact: Artifact, golden: Golden, predictor: Predictor) -> Difference | None:
    """The output of a file that is farthest off, over all golden inputs; None where their verdict is no fail.

    `predictor` runs the file, and may give more than its outputs.
    """
    report = check_predictor(artifact, golden, predictor)
    if report.verdict != FAIL:
        return None
    return max(report.outputs, key=lambda one: one.max_error if one.finite else float("inf"))


def with_farthest(readings: Sequence[LayerReading]) -> tuple[LayerReading, ...]:
    """The readings of layers that were run alone, of which the one that is farthest off diverges."""
    errors = [reading.alone.max_error if reading.alone else 0.0 for reading in readings]
    place = errors.index(max(errors))
    return tuple(
        replace(reading, diverges=True) if number == place else reading
        for number, reading in enumerate(readings)
    )
