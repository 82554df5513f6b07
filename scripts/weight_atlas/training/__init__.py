"""Training: one engine for every start, schedule and stage."""
