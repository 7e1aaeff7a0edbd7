"""Models that are asked in words: in Python, and in a TensorFlow graph that a server runs."""
