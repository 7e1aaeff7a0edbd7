"""Kinds of models: `table.py` says what each one is, then one file for each kind."""
