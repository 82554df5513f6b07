"""What `track` costs: a step of training with it, beside the same step without it.

    python benchmarks/track.py [--steps 30] [--batch 128]

Each network trains on random pictures by the engine's own steps, on one thread. Steps without `track`, with it and with
it at its most expensive (as if each tensor had a parameter that no step changes, so that none is ever left out) take
turns, so many of each after ten of each, in seconds of the processor, so that neighbours count little. Costs are ratios
of the medians.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import images_per_second
import torch

from weight_atlas.training.track import GradientTracker

CASES = {
    "lenet5": ({"architecture": "lenet5"}, 1, 28),
    "resnet18, quarter width": ({"architecture": "resnet18", "width": 0.25}, 3, 32),
    "resnet18": ({"architecture": "resnet18"}, 3, 32),
}


class Whole(GradientTracker):
    """GradientTracker that goes on looking at every tensor."""

    def close(self) -> None:
        pass


def step(made, optimizer, tracker=None) -> float:
    """Seconds of the processor for one step."""
    made.tracker = tracker
    began = time.process_time()
    made.train_step(*made.feed.batch(0), optimizer)
    return time.process_time() - began


def parse(description: str) -> argparse.Namespace:
    """The options of the command line, and the first line of what is printed."""
    parser = argparse.ArgumentParser(description=description.split("\n")[0])
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--batch", type=int, default=128)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"one thread, batches of {args.batch}, medians of {args.steps} steps")
    return args


def main() -> None:
    args = parse(__doc__)
    print("| network | ms a step without | cost of track | at its most expensive |\n" + "|---" * 4 + "|")
    for name, case in CASES.items():
        made = images_per_second.run(*case, args.batch)
        optimizer = made.enter_stage(made.training.stages[0])
        made.feed.shuffle_epoch(1)
        sides = {"without": None, "track": GradientTracker(made.model), "most": Whole(made.model)}
        turns = [{side: step(made, optimizer, own) for side, own in sides.items()} for _ in range(10 + args.steps)]
        middle = {side: statistics.median(turn[side] for turn in turns[10:]) for side in sides}
        costs = [middle[side] / middle["without"] - 1 for side in ("track", "most")]
        print(f"| {name} | {1000 * middle['without']:.1f} | {costs[0]:.1%} | {costs[1]:.1%} |", flush=True)


if __name__ == "__main__":
    main()
