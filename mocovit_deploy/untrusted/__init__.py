"""Readers of files that may be damaged or hostile, and the limited child processes that run them.

read       sizes before bytes, strict JSON      zip    archives      npz   arrays
sandbox    a Python function in a child with limits of time and memory
process    a program in a child with a deadline
"""
