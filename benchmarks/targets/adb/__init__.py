"""Target `adb`: an Android phone, through the user's own adb.

locate    find adb                        client    the only file that starts it
failures  adb's words to typed errors     bounded   run a program that may say too much
choose    which phones                    session   a phone that is held, and dropped on every way out
probe     what the phone is               keeper    the process on the phone that cleans up
state     clocks, temperature, battery    push      files, only those that changed
protocol  limits, gates, rounds           measuring the target
"""

from benchmarks.targets.adb.measuring import count, measure, run_golden, take_times

COUNTS = False

__all__ = ["COUNTS", "count", "measure", "run_golden", "take_times"]
