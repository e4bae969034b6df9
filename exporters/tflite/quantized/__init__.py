"""TFLite files with operators in int8, made from a float file's tables and the scheme of its graph.

support.py      the operators that XNNPACK computes in int8 (operators.toml)
tables.py       the tables of a float file as operators and tensors
grids.py        from the scheme of a graph to the grids of tensors
decide.py       the operators that can be quantized, and those that are by default
costs.py        instructions of an operator in each arithmetic, estimated (costs.toml)
mix.py          the mixture of int8 and float operators that takes the fewest instructions
bias.py         the change in a layer's mean output by rounding its weights
edit.py         new tensors and operators in the tables
weights.py      files with int8 weights and float activations
write.py        the quantized tables: QUANTIZE and DEQUANTIZE at borders, weights, biases
export.py       export_quantized(): from a graph and its scheme to the file
"""
