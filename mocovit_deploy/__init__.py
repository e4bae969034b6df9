"""Mobile vision networks from PyTorch to verified ONNX, Core ML and TFLite files."""
