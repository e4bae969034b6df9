"""Measuring files that exporters left on disk. Never imports the exporting side."""
