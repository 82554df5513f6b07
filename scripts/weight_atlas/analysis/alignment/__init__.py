"""Symmetries of networks applied: the one that brings a network closest to another."""
