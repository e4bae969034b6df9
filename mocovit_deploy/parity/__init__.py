"""Judge whether a file computes what its network computes. Works without torch.

compare     two arrays into numbers             tolerance   the table of tolerances
decide      numbers into a verdict              verdict     run a file and report on it
flips       samples with another class          samples     the inputs that files are checked on
half        fp16 files in half precision        sandboxed   the check in a child process
"""
