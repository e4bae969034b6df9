"""The native bench program as a child: started, spoken to, read.

process      one run of it          golden_run   golden inputs in, outputs back
tensors      arrays as files
"""
