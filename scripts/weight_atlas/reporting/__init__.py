"""Reporting: figures and tables of the report, drawn from result tables. No torch."""
