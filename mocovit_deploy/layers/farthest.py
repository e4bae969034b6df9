"""Find the cause if outputs are wrong although no layer seems to be.

    output_2     off by 1.7e-05 on variation 3, the tolerance is 1e-05
    body.5       off by 4.0e-06 alone: within the bound, amplified by what follows
    the others   off by 1e-07 alone: rounding

Layers are compared on two samples, but a defect behind a ReLU may act only on others. So they are also
compared on the sample of the worst output. If no layer is over its bound there either, errors grow on their
way, and the layer that is farthest off alone is named.
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
    """The output of a file that is farthest off over all golden inputs; None if the file does not fail.

    `predictor` runs the file, and may return further values besides the outputs.
    """
    report = check_predictor(artifact, golden, predictor)
    if report.verdict != FAIL:
        return None
    return max(report.outputs, key=lambda one: one.max_error if one.finite else float("inf"))


def with_farthest(readings: Sequence[LayerReading]) -> tuple[LayerReading, ...]:
    """`readings` of layers that were run alone, with `diverges` set for the layer that is farthest off.

    Farthest relative to what is allowed: steps of quantized layers differ.
    """
    errors = [reading.alone.max_error / reading.allowed if reading.alone else 0.0 for reading in readings]
    place = errors.index(max(errors))
    return tuple(
        replace(reading, diverges=True) if number == place else reading
        for number, reading in enumerate(readings)
    )
