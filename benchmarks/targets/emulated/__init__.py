"""Target `emulated`: exact instruction counts of the real ARM kernels under qemu, and modelled milliseconds.

target  the target      qemu  one run of the emulator      prefix  the system files that the guest reads
"""

from benchmarks.targets.emulated.target import measure, run_golden

__all__ = ["measure", "run_golden"]
