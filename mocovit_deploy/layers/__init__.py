"""Compare every layer of a file with the original network's.

check      compare the layers of one file           trace        the original's values, layer by layer
taps       which value of a file is which layer's   arrange      how a value's axes lie in a file
merged     scales that a converter merged           order        values in an order of the file's own
symptoms   what a difference looks like             farthest     wrong outputs without a wrong layer
branches   branches that outputs hardly depend on   sensitivity  finds those branches
steps      what rounding adds to a layer            report       what was found, as data and in words
original   layers and values as plain data
"""
