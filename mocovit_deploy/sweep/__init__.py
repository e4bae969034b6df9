"""Many exports in one table: systems x formats x precisions, each in a child process, kept and not run again.

row   one export and what became of it      run    the rows that are missing, one after the other
table the rows as text, CSV and JSON        page   as a page with a Pareto plot
"""
