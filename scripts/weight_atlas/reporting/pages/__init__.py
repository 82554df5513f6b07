"""The page: one HTML file of all exhibits."""
