"""Long measurements over many files, each written into a document.

study               what they share: rows that are kept, and go on after a stop
zoo, zoo_document   every network in every format     export_speed   seconds of an export's stages
runtime_matrix      files against runtimes            half           the half reference beside the core
fast, fast_*        TFLite files, stock against ours, and each rewrite with and without
"""
