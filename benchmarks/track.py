"""What `track` costs: an epoch of training with it, beside the same epoch without it.

    python benchmarks/track.py [--repeats 5] [--batch 128]

Each network trains on random pictures by the engine's own epoch, on one thread; epochs after the first are timed, in
seconds of the processor, so that neighbours count little. Each repeat times in turn an epoch without `track`, one with
it, and one with it at its most expensive: as if each tensor had a parameter that no step changes, so that none is ever
left out. Costs are medians over the repeats of the ratio to the epoch without it.
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

from atlas.learn.track import Evidence

# network: (settings, channels, size, steps of an epoch)
CASES = {
    "lenet5": ({"architecture": "lenet5"}, 1, 28, 50),
    "resnet18, quarter width": ({"architecture": "resnet18", "width": 0.25}, 3, 32, 8),
    "resnet18": ({"architecture": "resnet18"}, 3, 32, 2),
}


class Whole(Evidence):
    """Evidence that goes on looking at every tensor."""

    def close(self) -> None:
        pass


def epoch(made, optimizer) -> float:
    """Seconds of the processor for one epoch."""
    began = time.process_time()
    made._epoch(optimizer, 0)
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch", type=int, default=128)
    args = parser.parse_args()
    torch.set_num_threads(1)
    images_per_second.BATCH = args.batch
    print(f"one thread, batches of {args.batch}, medians of {args.repeats}")
    print("| network | s an epoch without | cost of track | at its most expensive |\n" + "|---" * 4 + "|")
    for name, (network, channels, size, steps) in CASES.items():
        sides = {}
        for side, evidence in {"without": None, "track": Evidence, "most": Whole}.items():
            made = images_per_second.run(network, channels, size, steps * args.batch)
            made.evidence = evidence and evidence(made.model)
            sides[side] = made, made._enter(made.training["stages"][0])
            epoch(*sides[side])
        seconds = [{side: epoch(*own) for side, own in sides.items()} for _ in range(args.repeats)]
        without = statistics.median(own["without"] for own in seconds)
        costs = [statistics.median(own[side] / own["without"] for own in seconds) - 1 for side in ("track", "most")]
        print(f"| {name} | {without:.3f} | {costs[0]:.1%} | {costs[1]:.1%} |", flush=True)


if __name__ == "__main__":
    main()
