"""The arithmetic that passes share.

absorb     which layers can take a scale and a shift      affine     a BatchNorm as scale and shift
branches   parallel branches of one input                 kernels    one kernel from several
scales     constant factors and where they can go         sums       nested additions as one list
"""
