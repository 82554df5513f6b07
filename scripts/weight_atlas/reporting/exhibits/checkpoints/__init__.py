"""Exhibits on cells at their checkpoints."""
