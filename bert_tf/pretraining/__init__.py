"""Pre-training: the program behind `run_pretraining.py`."""
