"""Outputs to weights: optimizer, checkpoints, loop. Knows no task and no BERT."""
