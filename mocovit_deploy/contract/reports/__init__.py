"""Reports of a checked contract, one module for each.

text   a table for a terminal      as_json    a JSON report
junit  JUnit XML for CI            markdown   a comment on a pull request
"""
