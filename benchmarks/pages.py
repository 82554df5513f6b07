"""The report's pages, rendered one after another as the workflow does it: time, memory and size of each.

    python benchmarks/pages.py [--config tour] [--repeats 5]

The config must have run in this checkout (the tour: `snakemake --cores all`). What is rendered is thrown away.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import processes

ROOT = processes.ROOT
sys.path.insert(0, str(ROOT / "scripts"))

from weight_atlas.plan.pages import pages  # noqa: E402  (the library's path comes first)


def command(results: Path, page: str, output: Path) -> list[str]:
    """What the rule `render` runs for a page."""
    options = {
        "cells": results / "cells.csv",
        "tables": results / "tables",
        "figures": results / "figures",
        "config": results / "config.json",
        "templates": ROOT / "report",
        "output": output / f"{page}.html",
    }
    cards = map(str, sorted((ROOT / "data").glob("*.json")))
    words = [word for name, path in options.items() for word in (f"--{name}", str(path))]
    return [sys.executable, str(ROOT / "scripts/render.py"), *words, "--cards", *cards]


def spent(words: list[str]) -> tuple[float, float, float]:
    """(seconds, core-seconds, largest MB of memory of a process) of a command."""
    began = time.monotonic()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"pages.py: {process.stderr.read().strip() if process.stderr else status}")
    return time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", default="tour", help="name of the config, whose results are in results/<name>")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    results = ROOT / "results" / args.config
    config = json.loads((results / "config.json").read_text(encoding="utf-8"))
    names = list(pages(config["asked"], config["page"]))
    rows = {}
    with tempfile.TemporaryDirectory() as output:
        for page in names:
            runs = [spent(command(results, page, Path(output))) for _ in range(args.repeats)]
            size = (Path(output) / f"{page}.html").stat().st_size / 1e6
            rows[page] = (*(statistics.median(column) for column in zip(*runs, strict=True)), size)
    whole = [sum(column) for column in zip(*rows.values(), strict=True)]
    rows["all, one after another"] = (*whole[:2], max(row[2] for row in rows.values()), whole[3])
    print(f"medians of {args.repeats}\n| Page | s | Core-seconds | MB of memory | MB |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for page, (wall, used, memory, size) in rows.items():
        print(f"| {page} | {wall:.2f} | {used:.2f} | {memory:.0f} | {size:.2f} |")


if __name__ == "__main__":
    main()
