"""Converts models between google-research, Hugging Face, keras-hub and tensorflow/models."""
