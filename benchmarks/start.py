"""What Snakemake needs where there is nothing to do: with an empty Snakefile, and with the finished tour.

    python benchmarks/start.py [--cores 2] [--repeats 5]

The tour must have run in this checkout (`snakemake --cores all`). The two sides take turns.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import processes

ROOT = processes.ROOT
NOTHING = "Nothing to be done"


def spent(folder: Path, cores: int) -> tuple[float, float]:
    """(seconds, core-seconds) of Snakemake in a folder."""
    began = time.monotonic()
    used = processes.core_seconds(snakemake(cores, "--quiet", "all"), folder=folder)
    return time.monotonic() - began, used


def snakemake(cores: int, *words: str) -> list[str]:
    return [sys.executable, "-m", "snakemake", "--cores", str(cores), *words]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as empty:
        (Path(empty) / "Snakefile").touch()
        sides = {"an empty Snakefile": Path(empty), "the finished tour": ROOT}
        for name, folder in sides.items():
            first = subprocess.run(snakemake(args.cores, "--dry-run"), cwd=folder, capture_output=True, text=True)
            if NOTHING not in first.stdout + first.stderr:
                sys.exit(f"start.py: {name}: there is something to be done; run `snakemake --cores all` first")
        found = processes.in_turns({name: partial(spent, own, args.cores) for name, own in sides.items()}, args.repeats)
    print(f"nothing to be done, medians of {args.repeats}")
    print("| What | s | Core-seconds |\n| --- | ---: | ---: |")
    for name, (wall, used) in found.items():
        print(f"| {name} | {wall:.2f} | {used:.2f} |")


if __name__ == "__main__":
    main()
