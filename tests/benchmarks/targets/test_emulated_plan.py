"""The plan of a count on the emulated core."""

from types import SimpleNamespace

import pytest

from benchmarks.targets.plain import emulation_plan
from mocovit_deploy.targets import RunConditions


@pytest.mark.parametrize("runs", [1, 2])
def test_the_caller_says_how_many_inferences_are_counted(runs):
    plan = emulation_plan(SimpleNamespace(format="tflite"), RunConditions(counted_runs=runs))
    assert (plan.runs, plan.warmup_runs) == (runs, 1)
    assert emulation_plan(SimpleNamespace(format="tflite"), RunConditions()).runs == 2
