"""What lies on disk after an export.

artifact     the file as plain data             golden           inputs and the original's outputs
manifest     FILE.json                          manifest_rules   what a manifest may hold
provenance   what a file was made from          marks            which torch module a value comes from
operator     one operator of a file             readiness        what a delegate leaves to the CPU
install      the three files put in place together
"""
