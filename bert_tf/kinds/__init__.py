"""The kinds of models: `table.py` describes them, and each has a module."""
