"""Every layer of a file beside the original's.

check      compare the layers of one file           trace      the original's values, layer by layer
taps       which value of a file is which layer's   arrange    layouts of the two sides brought together
symptoms   what a difference looks like: transposed, scaled, shifted, swapped
"""
