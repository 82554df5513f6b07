"""Sums and counts over float32 vectors, by torch or compiled by numba."""
