"""Long measurements over many files, each written into a document.

zoo, zoo_document   every network in every format     export_speed   seconds of an export's stages
runtime_matrix      files against runtimes
"""
