"""The official metrics of the tasks, computed from answers. NumPy only."""
