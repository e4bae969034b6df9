"""A TFLite file executed with numpy, in the arithmetic XNNPACK would use for it on a core with fp16.

program.py       the file's tables as plain data
delegate.py      which operators XNNPACK takes, in which pieces, and which of them it computes in fp16
execute.py       the operators one after the other
run.py           load_half()
dense, elementwise, pooling, reduction, resize, shape     what they compute, one family a file

An operator without semantics here ends the run before it starts, by name.
"""
