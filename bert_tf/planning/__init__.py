"""WHAT A PRE-TRAINING WILL TAKE: time, memory and disk, by arithmetic. No TensorFlow.

hardware ──┐
costs ─────┼──> plan ──> report
memory ────┤
records ───┘        published: runs that others have measured, beside what the plan says of them
"""
