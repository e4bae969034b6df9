"""The operators of a file.

read      operators of any format, by module      tflite    a TFLite file's tables
profile   seconds or counts per operator          xnnpack   what XNNPACK takes, and the partitions
"""
