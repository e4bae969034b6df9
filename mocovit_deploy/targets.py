"""From a target's name to its module."""

from __future__ import annotations

import importlib
from typing import Protocol, cast

from benchmarks.reports.plan import Plan
from benchmarks.reports.report import Report
from benchmarks.targets import TARGETS
from benchmarks.targets.context import Context, GoldenRun
from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.errors import unknown_choice


class Target(Protocol):
    """What every module in this folder that `TARGETS` names offers."""

    def measure(self, artifact: Artifact, plan: Plan, context: Context) -> Report:
        """Check the file's outputs there, then measure it."""
        ...

    def run_golden(self, artifact: Artifact, plan: Plan, context: Context) -> GoldenRun:
        """Run the golden inputs there and return the outputs, judging nothing."""
        ...


def load_target(name: str) -> Target:
    """The module of target `name`; `UsageError` lists the targets there are."""
    if name not in TARGETS:
        raise unknown_choice("target", name, TARGETS)
    return cast(Target, importlib.import_module(f"benchmarks.targets.{name}"))
