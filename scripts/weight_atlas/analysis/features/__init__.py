"""What networks compute: features, filters and answers, and how alike those of two models are."""
