"""Pearson's and Spearman's correlation of two float32 vectors, beside scipy's: time on one thread, and memory.

    python benchmarks/correlation.py [--size 10000000] [--repeats 5]

Each repeat times the sides in turn, in seconds of the processor, so that neighbours count little. Memory is what a
fresh process needs at its peak beyond the two vectors (Linux).
"""

import argparse
import multiprocessing
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np
import scipy.stats
import torch

from weight_atlas.analysis.kernels.select import LARGE
from weight_atlas.analysis.weights import correlation

SIDES = {
    "Pearson": {"ours": correlation.pearson, "scipy.stats.pearsonr": scipy.stats.pearsonr},
    "Spearman": {"ours": correlation.spearman, "scipy.stats.spearmanr": scipy.stats.spearmanr},
}


def vectors(size: int, kind: str) -> list[torch.Tensor]:
    """Two correlated vectors; of the kind "tied", rounded so that there are some hundred different values."""
    generator = np.random.default_rng(0)
    one = generator.standard_normal(size, dtype=np.float32)
    other = generator.standard_normal(size, dtype=np.float32)
    other += one
    if kind == "tied":
        for vector in (one, other):
            np.round(vector * np.float32(50), out=vector)
    return [torch.from_numpy(vector) for vector in (one, other)]


def value(side: str, what: str, pair: list[torch.Tensor]) -> float:
    """The coefficient; scipy gets float64 for Pearson's, which it would else compute in float32."""
    if side == "ours":
        return SIDES[what][side](*pair)
    arrays = [vector.numpy().astype(float) if what == "Pearson" else vector.numpy() for vector in pair]
    return float(SIDES[what][side](*arrays).statistic)


def memory(size: int, what: str, side: str, queue) -> None:
    """Puts the peak of this process beyond the vectors, in MiB."""
    torch.set_num_threads(1)
    pair = vectors(size, "random")
    value(side, what, [vector[:LARGE] for vector in pair])  # what numba loads is not the vectors'
    before = status("VmRSS")
    value(side, what, pair)
    queue.put((status("VmHWM") - before) / 1024)


def status(key: str) -> int:
    """A number of this process's /proc/self/status, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"two float32 vectors of {args.size:,}, 1 thread, medians of {args.repeats}; numpy {np.__version__}")
    print("| coefficient | vectors | side | CPU seconds | times faster | peak MiB beyond them |\n" + "|---" * 6 + "|")
    spawn = multiprocessing.get_context("spawn")
    for what, sides in SIDES.items():
        peaks = {}
        for side in sides:
            queue = spawn.Queue()
            process = spawn.Process(target=memory, args=(args.size, what, side, queue))
            process.start()
            peaks[side] = queue.get()
            process.join()
        for kind in ("random", "tied"):
            pair = vectors(args.size, kind)
            seconds: dict[str, list[float]] = {side: [] for side in sides}
            found = {}
            for _ in range(args.repeats):
                for side in sides:
                    began = time.process_time()
                    found[side] = value(side, what, pair)
                    seconds[side].append(time.process_time() - began)
            middle = {side: statistics.median(times) for side, times in seconds.items()}
            slowest = max(middle.values())
            for side, median in middle.items():
                peak = f"{peaks[side]:.0f}" if kind == "random" else ""
                print(f"| {what} | {kind} | {side} | {median:.3f} | {slowest / median:.1f} | {peak} |")
            apart = max(found.values()) - min(found.values())
            if apart > 1e-9:
                sys.exit(f"the two sides differ by {apart}")


if __name__ == "__main__":
    main()
