"""TFLite files with operators in int8, made from a float file's tables and the scheme of its graph.

support.py      which operators XNNPACK computes in int8 (operators.toml)
tables.py       the tables of a float file, seen as operators and tensors
grids.py        from the scheme of a graph to the grids of tensors
decide.py       which operators can be quantized, and which usually are
bias.py         what rounding weights adds to a layer's mean output
edit.py         new tensors and operators in those tables
weights.py      the files whose weights alone are int8
write.py        the quantized tables: QUANTIZE and DEQUANTIZE at borders, weights, biases
"""
