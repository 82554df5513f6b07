"""Chapters: which exhibits and sentences a study has; one file per chapter, found by its name."""
