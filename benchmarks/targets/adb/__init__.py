"""Target `adb`: an Android phone, through the user's own adb.

locate    finding adb                     client    the only module that starts adb
failures  from adb's messages to errors   bounded   running a program with bounded output
choose    the phones of a command         session   a phone that is held, and always released
probe     the facts of a phone            keeper    the process on the phone that cleans up
state     clocks, temperature, battery    push      copying files that changed
protocol  limits, conditions, rounds      remote    running the bench on the phone
measuring the target                      doctor    checking a phone step by step
"""

from benchmarks.targets.adb.measuring import count, measure, run_golden, take_times

COUNTS = False

__all__ = ["COUNTS", "count", "measure", "run_golden", "take_times"]
