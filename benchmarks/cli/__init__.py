"""mocovit-bench.

main       from arguments to exit status      parser     the options, with examples
request    the options as plain data          commands   the commands
phones     the phones that a command holds
"""
