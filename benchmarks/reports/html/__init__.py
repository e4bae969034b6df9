"""Reports as one self-contained HTML page: no script, no font, no picture from anywhere else.

document   the page         style   its colours, light and dark
sections   one report       svg     drawing          plots   the four plots
"""
