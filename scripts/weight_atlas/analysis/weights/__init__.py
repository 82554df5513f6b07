"""Parameters of snapshots: their statistics, how far they moved, how alike they are."""
