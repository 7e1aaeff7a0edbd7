"""Measures this package and its peers in turn, with the same sizes, data, precision and threads.

`suites/` say what is compared, `runners/` do the work in each package's own environment, `run.py`
runs them in turn, `results.py` keeps the figures, `report.py` draws tables and plots from them.
"""
