"""The building blocks of all exhibits: marks, panels, style, the exhibit itself, and the tables."""
