"""Reports: what was measured, as data, text and pages.

plan      what to measure             rounds    samples of one run      statistics  percentiles, intervals
report    the data                    schema    strict reading of it    file        on disk
counts    instructions by class       compare   two reports             advice      warnings with next steps
text      one report as text          html      one page                plausible   values that cannot be
"""
