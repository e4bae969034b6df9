"""What is quantized how: decided once from the captured graph, written by each format in its own way.

recipes       the values of --precision, whose names decode themselves
calibration   images to calibrate on: a folder, an .npz, a function (calibration_set.py: as plain data)
observe       what every value of the graph is on them
ranges        from what was observed to a range: extremes, percentiles, least squared error
grid          from a range to scale and zero point
scheme        the description: a grid for every value and every weight
"""
