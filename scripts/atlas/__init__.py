"""Weight Atlas: from a grid of experiments to a report on how their weights moved."""
