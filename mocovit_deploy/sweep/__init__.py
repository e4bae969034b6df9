"""Many exports in one table: networks x formats x precisions. Results are kept and not computed again.

row      one export and its result             run     rows without a result, in child processes
table    the rows as text, CSV and JSON        page    the rows as a page with a Pareto plot
on_ray   rows on the machines of a Ray cluster
"""
