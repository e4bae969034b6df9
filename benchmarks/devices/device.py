"""Device files: the chip of a phone, and the factors that turn counts into modelled milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.devices import latency_fit
from benchmarks.reports import schema
from benchmarks.reports.counts import Counts
from benchmarks.reports.report import Modelled
from mocovit_deploy.choices import DEVICES
from mocovit_deploy.errors import DeployError, unknown_choice

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Cores of one kind that share a clock."""

    name: str
    core: str
    cores: int
    clock_hz: int
    source: str


@dataclass(frozen=True, kw_only=True)
class CoreModel:
    """The factor from the cycle bound of a core to its time, and the cluster whose clock it has."""

    core: str
    cluster: str
    factor: float
    source: str


@dataclass(frozen=True, kw_only=True)
class DeviceFile:
    """One file of benchmarks/devices/."""

    name: str
    soc: str
    title: str
    cluster: tuple[Cluster, ...]
    model: tuple[CoreModel, ...]

    def __post_init__(self) -> None:
        for model in self.model:
            cluster = self._cluster(model.cluster)
            if cluster is None or cluster.core != model.core:
                raise ValueError(f"no cluster {model.cluster!r} of {model.core}")
            if model.factor < 1:
                raise ValueError(f"factor {model.factor}; give at least 1: time is never below the bound")
        for cluster in self.cluster:
            if cluster.clock_hz <= 0 or cluster.cores <= 0 or not cluster.source:
                raise ValueError(f"cluster {cluster.name!r} needs cores, a clock and a source")

    def _cluster(self, name: str) -> Cluster | None:
        return next((cluster for cluster in self.cluster if cluster.name == name), None)

    def modelled(self, counts: Counts, core: str) -> Modelled | None:
        """Milliseconds for `counts` on `core`; None if this device has no calibrated core of that kind.

        modelled_ms = cycle bound / clock * factor
        """
        model = next((model for model in self.model if model.core == core), None)
        if model is None:
            return None
        cluster = self._cluster(model.cluster)
        if cluster is None:  # refused at construction
            raise DeployError(f"device {self.name}: no cluster {model.cluster}")
        bound_ms = counts.cycle_bound(core) / cluster.clock_hz * 1e3
        return Modelled(
            modelled_ms=bound_ms * model.factor,
            device=self.name,
            core=core,
            clock_hz=cluster.clock_hz,
            bound_ms=bound_ms,
            factor=model.factor,
            source=model.source,
            error_band_percent=latency_fit.error_band_percent(),
        )


def load_device(name: str) -> DeviceFile:
    """The device file called `name`. Raises `UsageError`, which lists the names, for any other."""
    if name not in DEVICES:
        raise unknown_choice("device", name, DEVICES)
    return read_device(_FOLDER / f"{name}.toml")


def read_device(path: Path) -> DeviceFile:
    """The device file at `path`. Raises `UsageError`, which says what does not fit."""
    return schema.build_record(DeviceFile, schema.read_toml(path), str(path))
