"""A skip is honest only where it may happen: CI names what must run, and skipping it fails."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

MUST_RUN = tuple(word for word in os.environ.get("MOCOVIT_MUST_RUN", "").split(",") if word)
"""Words; a skip whose reason holds one of them is a failure. `.ci/run` sets them."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report: pytest.TestReport = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if any(word in reason.lower() for word in MUST_RUN):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} must run here and was skipped: {reason}"
    return report


@pytest.fixture(scope="session", autouse=True)
def _halves_run_in_the_reference() -> Iterator[None]:
    """fp16 files are executed by the numpy reference: the emulated core, where it is installed, is slower.

    Tests that want the core take `the_core`.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOCOVIT_HALF", "reference")
        yield


@pytest.fixture
def the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulated core for fp16 files; skips without LiteRT's bundle or an emulator."""
    from benchmarks.targets.emulated.qemu import find_qemu
    from benchmarks.toolchain import bundle
    from mocovit_deploy.errors import DeployError

    try:
        bundle.open_bundle(bundle.bundle_folder("litert"))
        find_qemu()
    except DeployError as error:
        pytest.skip(str(error))
    monkeypatch.setenv("MOCOVIT_HALF", "core")
