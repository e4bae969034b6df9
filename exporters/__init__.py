"""File formats. One format is one module with `export` and `load`; a new one is a file and a word here."""

FORMATS = ()
