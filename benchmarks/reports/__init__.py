"""Reports: measurements as data, text and pages.

plan      what to measure             rounds    samples of one run      statistics  percentiles, intervals
report    the data                    schema    strict reading of it    file        reports on disk
counts    instructions by class       compare   two reports             advice      warnings with next steps
ratios    which file is faster        modes     two modes in samples    plausible   refusing impossible times
text      one report as text          html      reports as one page
"""
