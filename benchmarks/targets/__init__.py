"""Where a file is executed. One target is one module that satisfies `context.MeasuringTarget`.

host       this machine                     context    what a target is given besides the file
adb        a phone                          plain      from a target's own run to plain data
emulated   an ARM core, counted             subject    from a file's name to what is measured
bench      the program that runs inside     ab         two files in turn
benchmark_model   Google's program instead of ours

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
