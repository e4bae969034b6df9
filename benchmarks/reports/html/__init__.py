"""Reports as one self-contained page, drawn with mocovit_deploy/report.

document   the page         sections   one report       operators   the cost of each block and kind
headline   which is faster  plots      samples over time, distributions
"""
