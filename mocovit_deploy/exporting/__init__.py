"""From a request to proven files.

pipeline   every step of one call, in order        context    what its files share, as plain data
refuse     impossible requests                     reference  the original network on the parity samples
prove      one file: written and judged            publish    one file: named or rejected, with its company
inside     branches that the outputs hardly show   schemes    how graphs are quantized
auto       the search for the best precision       judging    the images it judges candidates on
answers    the original on the user's images       staging    files take their names only when proven
suppressed second files that suppress boxes themselves
"""
