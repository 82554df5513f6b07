"""Measure all snapshots of a trained block, and remove those that are not kept.

python scripts/prune_snapshots.py --block results/cells/ID/.seeds_0-2 --cell-id ID --cell JSON --keep ends

The launcher of a training (weight_atlas/training/launcher.py) starts it before it puts the files into place.
"""

import argparse
import json
import sys
from pathlib import Path

from weight_atlas.settings import Settings


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--block", required=True, type=Path, help="where the block was trained")
    parser.add_argument("--cell-id", required=True, help="the cell's id")
    parser.add_argument("--cell", required=True, type=json.loads, help="its settings in full, as JSON")
    parser.add_argument("--keep", required=True, help="the epochs kept beside the first and last: ends (none), or 5+10")
    args = parser.parse_args()

    import torch

    from weight_atlas.analysis import prune_snapshots

    torch.set_num_threads(1)  # as rule measure does: the sums have the same bits
    kept = [] if args.keep == "ends" else [int(epoch) for epoch in args.keep.split("+")]
    prune_snapshots.thin(args.block, args.cell_id, Settings.parse(args.cell), kept)
    return 0


if __name__ == "__main__":
    sys.exit(main())
