"""mocovit-bench.

main       arguments in, exit status out      parser     the options, with examples
commands   what each command does             phones     choosing and asking phones
"""
