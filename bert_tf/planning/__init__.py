"""Estimates what a pre-training run takes: time, memory and disk. No TensorFlow.

hardware ──┐
costs ─────┼──> plan ──> report
memory ────┤
records ───┘
"""
