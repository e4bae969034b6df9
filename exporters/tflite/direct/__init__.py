"""TFLite files written directly from the captured graph, NHWC by construction.

axes.py        axes and views: what moves data in PyTorch, as algebra
file.py        the tables of a file: tensors, constants, operators (versions.py: their versions)
layout.py      where data moves: RESHAPE, TRANSPOSE, RESHAPE
writer.py      what families write with
arithmetic.py  operators of two values, with broadcasting
write.py       the walk over the graph, and the list of families

Every other file is one family of operators.
"""
