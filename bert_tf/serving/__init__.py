"""Exports models that take raw text as SavedModels, and without a tokenizer to TFLite."""
