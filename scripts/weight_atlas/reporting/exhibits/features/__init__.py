"""Exhibits on features and filters."""
