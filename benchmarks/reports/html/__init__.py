"""Reports as one self-contained page, drawn with the pieces of mocovit_deploy/report.

document   the page         sections   one report       operators   what each block and kind costs
headline   which is faster  plots      samples over time, distributions
"""
