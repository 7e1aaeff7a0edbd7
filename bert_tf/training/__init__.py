"""Trains any model: optimizer, checkpoints, loop. Knows no task and no BERT."""
