"""File formats of models made by other libraries: one file a format, all read into one type."""
