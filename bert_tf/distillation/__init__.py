"""Distillation: what pre-training and fine-tuning need so that a student learns from a teacher."""
