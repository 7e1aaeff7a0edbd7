"""Computes the official metrics of the tasks from answers."""
