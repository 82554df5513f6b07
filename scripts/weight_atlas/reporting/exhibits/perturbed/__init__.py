"""Exhibits on models that were perturbed and trained again."""
