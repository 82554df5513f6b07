"""Figures and tables of the report, by subject."""
