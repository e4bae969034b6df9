"""A checked contract, written down: one report a file.

text   a table for a terminal      as_json    a JSON report
junit  JUnit XML for CI            markdown   a comment on a pull request
"""
