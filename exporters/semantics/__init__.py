"""What operations compute, in numpy, for any format.

spatial.py        padding, window positions and the views a kernel sees
special.py        functions numpy does not have
correlation.py    convolutions of float32 values
half/             half precision as XNNPACK's kernels for ARM compute it

A format's own operations, with their parameters and layouts, stand beside the format.
"""
