"""Implements fine-tuning for `finetune.py`, `run_classifier.py` and `run_squad.py`."""
