"""From a request to proven files.

pipeline   every step of one call, in order        prove      one file: written, judged, published
refuse     impossible requests                     reference  the original network on the parity samples
inside     branches that the outputs hardly show   schemes    how graphs are quantized
auto       the search for the best precision       judging    the images it judges candidates on
answers    the original on the user's images       staging    files take their names only when proven
"""
