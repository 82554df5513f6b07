"""Exhibits on experiments: what a setting changes."""
