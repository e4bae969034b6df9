"""Checks for your own test suite: `assert_parity(file, max_error=1e-5)`.

    from mocovit_deploy.testing import assert_parity

    def test_what_we_ship():
        assert_parity("build/mocovit_1_0_224_fp32.tflite", max_error=1e-5, max_partitions=1)

Bounds have the names they have in a contract (docs/contract.md). Needed are the file, its manifest, its
golden file and the file's runtime; torch only for `max_accuracy_drop`.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.artifacts.provenance import model_of
from mocovit_deploy.contract.accuracy_data import AccuracyData
from mocovit_deploy.contract.check import check_bounds
from mocovit_deploy.contract.evidence import Evidence
from mocovit_deploy.contract.read import bounds_of, conditions_of
from mocovit_deploy.contract.result import Check
from mocovit_deploy.errors import UsageError
from mocovit_deploy.parity.decide import PASS

__all__ = ["assert_parity"]


def assert_parity(
    path_or_artifact: str | PathLike[str] | Artifact,
    *,
    target: str | None = None,
    runtime: str | None = None,
    cpu: str | None = None,
    arithmetic: str | None = None,
    data: str | None = None,
    images: int | None = None,
    **bounds: float,
) -> tuple[Check, ...]:
    """Assert that every bound holds for a file on disk; returns what was measured.

    Bounds are `max_error`, `min_sqnr_db`, `min_top1_agreement`, `min_accuracy`, `max_accuracy_drop`,
    `max_partitions`, `max_outside_xnnpack`, `max_outside_gpu`, `max_operators`, `max_transposes`,
    `max_size_bytes`, `instructions` and `max_instructions`. None has a default; at least one must be given.

    Raises `AssertionError` with the numbers if a bound does not hold or could not be measured, `TypeError`
    without a bound, `UsageError` for an unknown bound, a value that does not fit, or a file without manifest.
    """
    __tracebackhide__ = True  # pytest then shows the caller's line and the numbers
    if not bounds:
        raise TypeError("assert_parity has no bound to check: give one, as in max_error=1e-5")
    artifact = (
        path_or_artifact if isinstance(path_or_artifact, Artifact) else read_manifest(Path(path_or_artifact))
    )
    given = {"target": target, "runtime": runtime, "cpu": cpu, "arithmetic": arithmetic, "images": images}
    words = {**{word: value for word, value in given.items() if value is not None}, **bounds}
    where = f"{artifact.path}"
    conditions = conditions_of(words, where, images)
    limits = bounds_of(words, where, artifact.format, conditions, data)
    checks = check_bounds(Evidence(artifact, conditions, _accuracy_data(artifact, data, bounds)), limits)
    missed = [check for check in checks if check.verdict != PASS]
    if missed:
        lines = [f"  {check.verdict}: {check.reason}" for check in missed]
        held = [f"  {check.name}: {check.measured}" for check in checks if check.verdict == PASS]
        raise AssertionError(
            "\n".join([f"{where}: {len(missed)} of {len(checks)} bounds missed", *lines, *held])
        )
    return checks


def _accuracy_data(artifact: Artifact, data: str | None, bounds: dict[str, float]) -> AccuracyData | None:
    if data is None:
        return None
    if "max_accuracy_drop" not in bounds:
        return AccuracyData(data, None)
    try:
        return AccuracyData(data, model_of(artifact))
    except UsageError as error:
        raise UsageError(f"max_accuracy_drop needs the original network: {error}") from None
