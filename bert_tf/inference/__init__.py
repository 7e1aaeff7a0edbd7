"""Inference on text: loads a model and predicts labels, answers, masked tokens, embeddings."""
