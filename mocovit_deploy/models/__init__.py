"""Where networks come from. One source is one file with `knows` and `build`; the tuple is their order."""

SOURCES = ("mocovit", "user")
