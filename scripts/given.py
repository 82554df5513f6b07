#!/usr/bin/env python3
"""Lay out given checkpoints as a trained block: run.json, metrics.csv and snapshots.

    python scripts/given.py --cell-id ID --cell JSON --files run-a/epoch_0.safetensors run-a/epoch_1.safetensors \\
        --data data/X.safetensors --card data/X.json --output results/cells/ID/seeds_0-0
"""

import argparse
import json
import sys
from pathlib import Path

from weight_atlas import gpu_slots, store
from weight_atlas.settings import Settings


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cell-id", required=True, help="the cell's id")
    parser.add_argument("--cell", required=True, type=json.loads, help="its settings in full, as JSON")
    parser.add_argument(
        "--files", required=True, nargs="+", type=Path, help="safetensors files or their indices, in series"
    )
    parser.add_argument("--data", nargs="?", help="the prepared data set to evaluate on")
    parser.add_argument("--card", nargs="?", help="its card")
    parser.add_argument("--output", required=True, type=Path, help="the block's directory, .../seeds_<first>-<last>")
    parser.add_argument("--device", default="cpu", choices=["auto", "cpu", "cuda"], help="where networks are run")
    parser.add_argument("--jobs-per-gpu", type=int, default=1, help="how many jobs one GPU runs at a time")
    args = parser.parse_args()

    from weight_atlas.analysis.runs import given  # imports torch: after the arguments are known to be right

    card, settings = store.read_json(args.card) if args.card else None, Settings.parse(args.cell)
    try:
        with gpu_slots.held(args.device if card else "cpu", args.jobs_per_gpu, settings.network.threads) as device:
            given.lay_out(args.cell_id, settings, args.files, args.data, card, args.output, device)
    except (ValueError, gpu_slots.NoDevice) as error:
        sys.exit(f"given.py: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
