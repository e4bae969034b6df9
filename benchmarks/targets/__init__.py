"""Targets: where a file is executed. A target is a module that satisfies `context.MeasuringTarget`.

host       this machine                     context    the surroundings of a measurement
adb        a phone                          plain      from a target's own run to plain data
emulated   an ARM core, counted             subject    from a path to the artifact and its golden file
bench      the program that runs there      checked    the check of outputs before every measurement
ab         two files in turn                benchmark_model   Google's program in place of the bench

To add one: a module here, its name in `mocovit_deploy.choices.TARGETS`, and its line below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.targets import adb, emulated, host
    from benchmarks.targets.context import MeasuringTarget

    # mypy holds each target to the protocol here.
    _host: MeasuringTarget = host
    _adb: MeasuringTarget = adb
    _emulated: MeasuringTarget = emulated
