"""Estimates the time, memory and disk of a pre-training run. No TensorFlow."""
