"""Fixed feature vectors from an encoder: the program behind `extract_features.py`."""
