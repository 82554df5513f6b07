"""Transfers: accuracy against the number of layers that are copied."""
