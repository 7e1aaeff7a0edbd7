"""Dumps, books and other collections of text -> one sentence a line, documents apart."""
