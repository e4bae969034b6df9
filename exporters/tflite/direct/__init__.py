"""TFLite files written directly from the captured graph, NHWC by construction.

axes.py        axes and views: reshape, permute and the like as algebra on names of axes
file.py        the tables of a file: tensors, constants, operators (versions.py: their versions)
layout.py      moving data: RESHAPE, TRANSPOSE, RESHAPE
writer.py      the `Writer` that families of operators write with
arithmetic.py  operators of two values, with broadcasting
write.py       the walk over the graph, and the list of families

Every other file is one family of operators.
"""
