"""Defects planted in exported files, to see whether per-layer parity names the module they were planted in.

surgery.py     what can be cut open: convolutions and linear layers of a file, its ReLUs, its outputs
onnx_file.py, tflite_file.py, coreml_file.py     one format each
defects.py     what is planted
suite.py       plant everything, ask, count
"""
