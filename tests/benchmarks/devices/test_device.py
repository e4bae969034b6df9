"""Device files: read strictly, every number with a source, milliseconds only where calibrated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.devices import device
from benchmarks.reports.report import CountReport
from mocovit_deploy.errors import UsageError

SNAPDRAGON = Path(device.__file__).with_name("snapdragon_855.toml")


def test_every_file_is_listed_and_loads() -> None:
    assert {path.stem for path in SNAPDRAGON.parent.glob("*.toml")} == set(device.DEVICES)
    for name in device.DEVICES:
        assert device.load_device(name).name == name


def test_unknown_device_suggests_a_close_one() -> None:
    with pytest.raises(UsageError, match="did you mean 'snapdragon_855'"):
        device.load_device("snapdragon855")


def test_topology_of_the_snapdragon_855() -> None:
    found = device.load_device("snapdragon_855")
    assert [(c.core, c.cores) for c in found.cluster] == [
        ("cortex-a76", 1),
        ("cortex-a76", 3),
        ("cortex-a55", 4),
    ]
    assert all(c.source for c in found.cluster)
    assert all(m.source for m in found.model)


def test_modelled_milliseconds(count_report: Callable[..., CountReport]) -> None:
    counts = count_report(3 * 2_841_600).counts  # a third of a cycle each: 2 841 600 cycles, 1 ms
    modelled = device.load_device("snapdragon_855").modelled(counts, "cortex-a76")
    assert modelled is not None
    assert modelled.bound_ms == pytest.approx(1.0)
    assert modelled.modelled_ms == pytest.approx(modelled.factor)
    assert modelled.device == "snapdragon_855"
    assert modelled.error_band_percent > 25


@pytest.mark.parametrize("core", ["cortex-a55", "cortex-a53"])
def test_cores_without_calibration_get_no_milliseconds(
    count_report: Callable[..., CountReport], core: str
) -> None:
    assert device.load_device("snapdragon_855").modelled(count_report().counts, core) is None


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("[[cluster]]", "[[cluster", "TOML"),
        ("cores = 3", 'cores = "three"', r"cluster\[1\].cores"),
        ("cores = 3\n", "", "missing or unknown: cores"),
        ("clock_hz = 2_419_200_000", "clock_hz = 0", "needs cores, a clock and a source"),
        ('cluster = "prime"', 'cluster = "silver"', "no cluster 'silver' of cortex-a76"),
        ("factor = 1.278", "factor = 0.5", "never below the bound"),
        ("factor = 1.278", "factor = nan", "factor"),
    ],
)
def test_device_file_that_does_not_fit(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    text = SNAPDRAGON.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "device.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UsageError, match=complaint):
        device.read_device(path)


def test_absent_device_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        device.read_device(tmp_path / "absent.toml")
