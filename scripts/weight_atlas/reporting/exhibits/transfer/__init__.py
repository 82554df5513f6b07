"""Exhibits on transfers."""
