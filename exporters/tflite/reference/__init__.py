"""A TFLite file executed with numpy, in the arithmetic that XNNPACK uses for it on a core with fp16.

program.py       the file's tables as plain data
delegate.py      the operators that XNNPACK takes, their partitions, and those that it computes in fp16
execute.py       executing the operators one after the other
run.py           load_half()
dense, elementwise, pooling, reduction, resize, shape     semantics of operators, one family a file

If any operator has no semantics here, the run ends before it starts and names the operator.
"""
