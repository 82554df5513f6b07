#!/usr/bin/env python3
"""Measure a group of cells that share data set and architecture, model by model and pair by pair.

    python scripts/measure.py --cells results/tour/cells.csv --group digits-lenet5-71661a9d \\
        --data data/X.safetensors --card data/X.json --output results/tour/measures/digits-lenet5-71661a9d
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from weight_atlas import cell_table, gpu_slots, store


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments, measure, and write the group's tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cells", required=True, type=Path, help="results/<name>/cells.csv")
    parser.add_argument("--group", required=True, help="the cells of cells.csv to measure, by its column group")
    parser.add_argument("--data", nargs="?", type=Path, help="the data set's safetensors file, where there is one")
    parser.add_argument("--card", nargs="?", type=Path, help="the data set's card, a JSON file")
    parser.add_argument("--output", required=True, type=Path, help="the directory to write the tables to")
    parser.add_argument("--threads", type=int, default=1, help="torch's threads (default: 1)")
    parser.add_argument("--device", default="cpu", choices=["auto", "cpu", "cuda"], help="where networks are run")
    parser.add_argument("--jobs-per-gpu", type=int, default=1, help="how many jobs one GPU runs at a time")
    options = parser.parse_args(arguments)
    entries = cell_table.grouped(options.cells, options.group)

    from weight_atlas.analysis import group  # imports torch: after the arguments are known to be right

    card = store.read_json(options.card) if options.card else None
    try:
        with gpu_slots.held(options.device, options.jobs_per_gpu, options.threads) as device:
            group.measure(entries, options.data, card, options.output, options.threads, device)
    except gpu_slots.NoDevice as error:
        sys.exit(f"measure.py: {error}")


if __name__ == "__main__":
    main()
