"""Half precision as XNNPACK computes it on ARM cores with fp16 arithmetic, such as the Cortex-A76.

arithmetic.py    the instructions: each rounds once
functions.py     functions of one value, by the polynomials of the kernels
sums.py          products summed in the kernels' order, every partial sum rounded to fp16
convolution.py   convolutions by these sums
reductions.py    means, softmax, poolings, interpolation

Values are numpy arrays of float16. Overflow to infinity is a result here, not an error.
Source: github.com/google/XNNPACK at 75db3c093b, the kernels `*-neonfp16arith-*` that its configurations
choose for a Cortex-A76. docs/half.md compares the results with that core, emulated.
"""
