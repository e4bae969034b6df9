"""Target `emulated`: exact instruction counts of the real ARM kernels under qemu, and modelled milliseconds.

target  the target      qemu  one run of the emulator      prefix  the system files that the guest reads
"""

from benchmarks.targets.emulated.target import count, measure, run_golden, take_times

COUNTS = True

__all__ = ["COUNTS", "count", "measure", "run_golden", "take_times"]
