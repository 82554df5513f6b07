"""Train one block of a cell: the launcher by default, the trainer itself with --child.

    python scripts/train.py --cell-id ID --cell JSON --data data/X.safetensors --card data/X.json \\
        --output results/cells/ID/seeds_0-2 --log logs/train.log
"""

import signal

if __name__ == "__main__":  # before more is imported: Ctrl-C ends it without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from weight_atlas import records, store
from weight_atlas.plan import recipe
from weight_atlas.settings import Settings
from weight_atlas.training import launcher
from weight_atlas.training.block_files import Block


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cell-id", required=True, help="the cell's id")
    parser.add_argument("--cell", required=True, type=json.loads, help="its settings in full, as JSON")
    parser.add_argument("--data", required=True, type=Path, help="the prepared data set")
    parser.add_argument("--card", required=True, type=Path, help="its card")
    parser.add_argument("--weights", type=Path, help="prepared weights to start from")
    parser.add_argument("--parents", nargs="*", default=[], type=Path, help="the blocks of the parent cell")
    parser.add_argument("--output", required=True, type=Path, help="the block's directory, .../seeds_<first>-<last>")
    parser.add_argument("--log", required=True, type=Path, help="where the trainer's lines go")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--jobs-per-gpu", type=int, default=1, help="how many trainings one GPU runs at a time")
    parser.add_argument(
        "--keep", default="all", help="the snapshots kept at the end: all, ends, or 5+10 beside the ends"
    )
    parser.add_argument("--adopt", action="store_true", help="keep what other code trained")
    parser.add_argument("--attempt", type=int, default=1)
    parser.add_argument("--attempts", type=int, default=1, help="at the last attempt a failure is recorded")
    parser.add_argument("--failures", default="record", choices=["record", "stop"])
    parser.add_argument("--child", action="store_true", help="train in this process")
    return parser.parse_args(arguments)


def find_recipe(args: argparse.Namespace) -> recipe.Recipe:
    """What the block is trained from."""
    parents = [record for block in args.parents for record in records.read(block)["replicates"]]
    return recipe.block(Settings.parse(args.cell), args.card, args.weights, parents, store.block_seeds(args.output))


def train(args: argparse.Namespace) -> None:
    """Train in this process what the block lacks."""
    from weight_atlas.training import block as trainer

    block = Block(args.output, args.cell_id, args.cell)
    files: trainer.Files = {
        "data": args.data,
        "card": args.card,
        "weights": args.weights,
        "parents": args.parents,
    }
    trainer.train(args.cell_id, Settings.parse(args.cell), block.unfinished(), files, args.device, block.scratch)


def main() -> int:
    args = parse()
    if args.child:
        train(args)
        return 0
    try:
        block = Block(args.output, args.cell_id, args.cell, find_recipe(args), args.keep, args.adopt)
    except (ValueError, OSError) as error:
        sys.exit(f"{args.cell_id}: {error}")
    job = launcher.Job(
        command=[sys.executable, *sys.argv, "--child"],
        log=args.log,
        attempt=args.attempt,
        attempts=args.attempts,
        stop=args.failures == "stop",
        device=args.device,
        jobs_per_gpu=args.jobs_per_gpu,
    )
    return launcher.launch(block, job)


if __name__ == "__main__":
    sys.exit(main())
