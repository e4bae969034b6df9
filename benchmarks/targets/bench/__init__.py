"""The native bench program as a child process.

process      one run of the bench   golden_run   golden inputs in, outputs out
tensors      arrays as files
"""
