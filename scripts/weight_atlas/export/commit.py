"""Which version of the workflow this is. The Snakefile loads this module."""

import subprocess
from pathlib import Path


def describe(root: Path) -> str:
    """`git describe` of the repository whose top is `root`, with the commit in full; words where there is none."""
    if not (root / ".git").exists():
        return "not in a git repository"
    command = ["git", "-C", str(root), "describe", "--always", "--tags", "--dirty", "--abbrev=40"]
    try:
        result = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return "unknown: git is not installed"
    return result.stdout.strip() if result.returncode == 0 else "unknown: git describe failed"
