"""What BERT is fine-tuned for: `task.py` is the contract, then the kinds, then one file a task."""
