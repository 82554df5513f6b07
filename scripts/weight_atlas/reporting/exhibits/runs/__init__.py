"""Exhibits on the runs: how they ended, and the course of training."""
