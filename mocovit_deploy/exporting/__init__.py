"""From a request to proven files.

pipeline   the line: every step of one call        prove   one file: written, judged, published
staging    files take their names only when proven
"""
