"""Fine-tuning tasks: `task.py` is their contract; each task is a file that implements it."""
