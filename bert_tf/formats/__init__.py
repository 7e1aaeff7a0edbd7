"""Reads and writes the file formats of other libraries: one module a format, one result type."""
