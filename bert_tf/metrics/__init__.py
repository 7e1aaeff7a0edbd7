"""Answers -> numbers: the official measures of tasks. numpy only."""
