"""Batches to outputs: the encoder and its heads."""
