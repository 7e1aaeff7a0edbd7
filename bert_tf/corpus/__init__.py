"""Turns dumps, books and other text into files of one sentence per line."""
