"""Models that were perturbed and trained again: where they start and where they end."""
