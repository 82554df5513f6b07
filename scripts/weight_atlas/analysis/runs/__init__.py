"""What became of the runs: accuracy, means over replicates, and analysis of variance."""
