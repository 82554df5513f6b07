"""Passing a study on as one archive, and comparing two results. No torch, no pandas."""
