"""Fine-tuning: the program behind `finetune.py`, `run_classifier.py` and `run_squad.py`."""
