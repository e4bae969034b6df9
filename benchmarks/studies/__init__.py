"""Studies: long measurements over many files, each written into a document.

study               shared parts: rows that are run once and kept, and resume after a stop
zoo, zoo_document   every network in every format     export_speed   seconds of the stages of an export
runtime_matrix      files in several runtimes         half           the half reference beside the core
ready               what delegates leave out          operator_costs instructions by kind of operator
fast, fast_*        TFLite files of litert-torch and of this project, and each rewrite with and without
why_fast            the tables of docs/why-fast.md
precision, precision_*   accuracy and cost of every precision
"""
