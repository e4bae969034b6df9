"""The arithmetic that passes share.

affine     scale and shift for each channel      plan       edits that are decided before they are made
hand_back  give a map to the layers before it    hand_on    give a map to the layers after it
carry      operations that a map can pass        border     zero padding after a map is folded
branches   parallel branches of one input        kernels    one kernel from several
scales     constant factors, where they can go   sums       nested additions as one list
"""
