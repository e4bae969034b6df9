"""What the comparison of a file's layers found, as plain data and in words."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, cast

from mocovit_deploy.layers.original import Missing
from mocovit_deploy.layers.taps import LayerReading, first_divergence
from mocovit_deploy.parity.decide import Verdict
from mocovit_deploy.parity.verdict import without_nan


@dataclass(frozen=True)
class LayerReport:
    """The comparison of every layer of one file with the original network's."""

    verdict: Verdict
    reason: str
    runtime: str
    arithmetic: str
    bound: float
    """The largest error of a layer, relative to its range, that is not a divergence."""
    samples: tuple[str, ...]
    """Names of the golden samples that layers were compared on."""
    readings: tuple[LayerReading, ...]
    """The layers that the file has values of, in the order of execution."""
    missing: tuple[Missing, ...]
    """The layers that the file has no values of."""
    not_run: str = ""
    """The arithmetic that the file is made for and this machine did not run, as in "fp16 arithmetic"."""
    steps: float | None = None
    """Of quantized files: how many times what rounding adds to it a layer may be off alone."""

    @property
    def limit(self) -> str:
        """What a layer may be off by, in words."""
        if self.steps is None:
            return f"{self.bound:.0e} of the layer's range"
        return f"{self.steps:g} times what rounding adds to the layer"

    def as_json(self) -> dict[str, Any]:
        """Plain data; infinities and NaN become None."""
        divergence = first_divergence(self.readings)
        document = {
            "verdict": self.verdict,
            "reason": self.reason,
            "runtime": self.runtime,
            "arithmetic": self.arithmetic,
            "not_run": self.not_run,
            "bound": self.bound,
            "steps": self.steps,
            "samples": self.samples,
            "first_divergence": divergence and _reading_as_json(divergence),
            "layers": [_reading_as_json(reading) for reading in self.readings],
            "without_counterpart": [dataclasses.asdict(one) for one in self.missing],
        }
        return cast("dict[str, Any]", without_nan(document))


def describe_reading(reading: LayerReading) -> str:
    """A reading in one sentence that begins with the torch module."""
    decisive = reading.alone or reading.carried
    error = f"off by {decisive.max_error:.1e} of its range" if decisive.finite else "not finite"
    how = " alone" if reading.alone is not None else ""
    module, *others = reading.span
    along = f", with {', '.join(one or 'the network' for one in others)} in one piece" if others else ""
    kind = f": {reading.kind}" if reading.kind else ""
    return f"{module or 'the network'} ({reading.tap.layer.kind}{along}) is {error}{how}{kind}"


def _reading_as_json(reading: LayerReading) -> dict[str, Any]:
    tap = reading.tap
    return {
        "module": tap.layer.module,
        "operation": tap.layer.operation,
        "kind": tap.layer.kind,
        "original": tap.layer.original,
        "span": reading.span,
        "file_value": tap.value.name,
        "arrangement": tap.form,
        "carried": dataclasses.asdict(reading.carried),
        "alone": reading.alone and dataclasses.asdict(reading.alone),
        "allowed": reading.allowed,
        "diverges": reading.diverges,
        "what": reading.kind,
    }
