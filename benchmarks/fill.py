"""What filling every new tensor costs a step: torch's deterministic mode as it is, beside the trainer's.

    python benchmarks/fill.py [--steps 30] [--batch 128]

Each network trains on random images by the engine's own steps, on one thread; both sides take turns, in seconds of the
processor. The weights of both sides are compared at the end: to the bit.
"""

import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import images_per_second
import torch
import track


def step(made, optimizer, fill: bool) -> float:
    """Seconds of the processor for one step."""
    torch.utils.deterministic.fill_uninitialized_memory = fill
    return track.step(made, optimizer)


def main() -> None:
    args = track.parse(__doc__)
    torch.use_deterministic_algorithms(True)
    print("| network | ms a step filled | not filled | ratio | weights |\n" + "|---" * 5 + "|")
    for name, case in track.CASES.items():
        sides = {}
        for fill in (True, False):
            torch.manual_seed(0)
            made = images_per_second.run(*case, args.batch)
            made.feed.shuffle_epoch(1)
            sides[fill] = made, made.enter_stage(made.training.stages[0])
        turns = [{fill: step(*side, fill) for fill, side in sides.items()} for _ in range(5 + args.steps)]
        filled, plain = (statistics.median(turn[fill] for turn in turns[5:]) for fill in (True, False))
        pairs = zip(*(made.model.state_dict().values() for made, _ in sides.values()), strict=True)
        same = "equal" if all(torch.equal(one, other) for one, other in pairs) else "DIFFERENT"
        print(f"| {name} | {1000 * filled:.1f} | {1000 * plain:.1f} | {filled / plain:.3f} | {same} |", flush=True)


if __name__ == "__main__":
    main()
