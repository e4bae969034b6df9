"""How a network is quantized: decided once from its graph, and written by each format in its own way.

recipes       the values of --precision, whose names are made of their parts
calibration   images to calibrate on: a folder, an .npz, a function (calibration_set: as plain data)
observe       statistics of every value of the graph on these images
ranges        statistics into ranges: extremes, percentiles, least squared error
grid          ranges into scale and zero point
scheme        a grid for every value and every weight
arithmetic    how a mixed file is divided           cut     the division of least cost
noise         the error that int8 adds to each value
"""
