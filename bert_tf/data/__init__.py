"""Ids to batches: pre-training examples, records, input pipelines."""
