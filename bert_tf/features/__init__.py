"""Computes feature vectors with an encoder: the program behind `extract_features.py`."""
