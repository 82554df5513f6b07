"""What the workflow costs per cell where training costs next to nothing: many tiny cells, from the data to the report.

    python benchmarks/tiny_cells.py [--cells 60] [--cores 2] [--repeats 3]

Each cell trains LeNet-1 for one epoch on 200 images of scikit-learn's digits, with a learning rate of its own. The
workflow is copied to a temporary directory and run there. Beyond training: all core-seconds but those that trainers
spend after their start, so with the starts, the measuring, the report and Snakemake itself.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import processes
import tour


def config(cells: int) -> dict:
    """One study of so many cells, which differ in their learning rate; one replicate each."""
    rates = {f"{n}": {"set": {"lr": round(0.001 * n, 3)}} for n in range(1, cells + 1)}
    grid = {"dataset": ["digits"], "network": ["lenet1"], "init": ["default"], "optimizer": ["sgd"]}
    return {
        "name": "tiny",
        "device": "cpu",
        "replicates": 1,
        "datasets": {"digits": {"source": "digits", "per_class": {"train": 20}}},
        "networks": {"lenet1": {}},
        "optimizers": {"sgd": {"type": "sgd", "lr": 0.01}},
        "training": {"epochs": 1, "batch_size": 50},
        "definitions": {"tiny": {"grid": grid, "vary": {"rate": rates}}},
    }


def run(cells: int, cores: int) -> tuple[float, float, float, float]:
    """(seconds, core-seconds, those of training, those of measuring) of one run from nothing to the report."""
    with tempfile.TemporaryDirectory() as folder:
        root = tour.copied(Path(folder) / "tiny")
        (root / "tiny.json").write_text(json.dumps(config(cells)))
        command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--configfile", "tiny.json"]
        command += ["--quiet", "all"]
        began = time.monotonic()
        total = processes.core_seconds(command, folder=root)
        wall = time.monotonic() - began
        trained, measured = (
            [tour.spent(log) for log in (root / "logs" / kind).rglob("*.log")] for kind in ("train", "measure")
        )
    return wall, total, *(sum(whole - start for whole, start in own) for own in (trained, measured))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cells", type=int, default=60)
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    rows = [run(args.cells, args.cores) for _ in range(args.repeats)]
    wall, total, training, measuring = (statistics.median(column) for column in zip(*rows, strict=True))
    beyond = statistics.median((row[1] - row[2]) / args.cells for row in rows)
    print(f"{args.cells} cells of lenet1, one epoch on 200 images each, {args.cores} cores, medians of {args.repeats}")
    print("| cells | s | core-seconds | training | measuring | beyond training, per cell |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    print(f"| {args.cells} | {wall:.0f} | {total:.0f} | {training:.1f} | {measuring:.1f} | {beyond:.2f} |")


if __name__ == "__main__":
    main()
