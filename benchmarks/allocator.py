"""What a trainer gains by the settings of glibc's allocator that its launcher makes.

    python benchmarks/allocator.py [--repeats 5] [--seconds 4]

A bare loop on one CPU thread (forward, backward and the optimizer's step on one resident batch, as in
images_per_second.py), in a process with these settings and in one without them, which are read as a process begins: in
turns, and each in a process of its own.
"""

import argparse
import os
import statistics
import subprocess
import sys

import torch
from images_per_second import BATCH, CASES, bare, run

from weight_atlas import warm

NETWORKS = ("lenet5, 28 grey", "resnet18, ImageNet stem, 32 RGB", "vgg11_bn, 32 RGB")


def speed(network: str, seconds: float, settings: dict[str, str]) -> float:
    """Images a second, in a new process with these variables of the launcher and no other of them."""
    kept = {name: value for name, value in os.environ.items() if name not in warm.MEMORY}
    words = [sys.executable, __file__, "--network", network, "--seconds", str(seconds)]
    return float(subprocess.run(words, env=kept | settings, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--network", choices=NETWORKS, help="print the speed of this one, as this process was started")
    args = parser.parse_args()
    if args.network:
        torch.set_num_threads(1)
        print(bare(run(*CASES[args.network]), args.seconds))
        return
    print(f"torch {torch.__version__}, 1 thread, batch {BATCH}, median of {args.repeats}, images/s")
    print("| network | as a trainer | with glibc's defaults | ratio |\n| --- | ---: | ---: | ---: |")
    for network in NETWORKS:
        pairs = [
            tuple(speed(network, args.seconds, settings) for settings in (warm.MEMORY, {})) for _ in range(args.repeats)
        ]
        own, plain = (statistics.median(side) for side in zip(*pairs, strict=True))
        ratio = statistics.median(one / other for one, other in pairs)
        print(f"| {network} | {own:,.0f} | {plain:,.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
