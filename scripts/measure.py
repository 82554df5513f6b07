#!/usr/bin/env python3
"""Measure a group of cells that share data set and network: statistics, movement, unchanged parameters, features."""

import argparse
import json
from pathlib import Path

from atlas import store
from atlas.measure import cells


def main(arguments=None):
    """Read the arguments, measure, and write the group's tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--cells",
        required=True,
        help="cells.csv with --group; without it JSON, or a JSON file: "
        'a list of {"cell_id", "blocks": [directories], "seeds": [..], "cell": resolved cell}',
    )
    parser.add_argument("--group", help="the cells of cells.csv to measure")
    parser.add_argument("--data", required=True, type=Path, help="the data set's safetensors file")
    parser.add_argument("--card", required=True, type=Path, help="the data set's card, a JSON file")
    parser.add_argument("--output", required=True, type=Path, help="the directory to write the tables to")
    parser.add_argument("--threads", type=int, default=1, help="torch's threads (default: 1)")
    chosen = parser.parse_args(arguments)
    asked = read(chosen.cells, chosen.group)

    from atlas.measure import group  # imports torch: after the arguments are known to be right

    group.measure(asked, chosen.data, store.read_json(chosen.card), chosen.output, chosen.threads)


def read(text, group):
    """The cells to measure, from what --cells and --group say."""
    if group:
        return cells.grouped(text, group)
    return json.loads(text) if text.lstrip().startswith("[") else store.read_json(text)


if __name__ == "__main__":
    main()
