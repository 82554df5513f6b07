"""What an experiment shows by its shape: sweeps, comparisons, paths; of any study, whatever it calls its levels."""
