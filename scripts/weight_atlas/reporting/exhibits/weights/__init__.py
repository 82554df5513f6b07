"""Exhibits on parameters: how far they moved, and which did not."""
