"""Measures of a network of 140 million parameters (VGG19), beside the time that reading the same numbers once takes.

    python benchmarks/measures.py [--network vgg19] [--repeats 5] [--folder DIR]

Two snapshots and a track file, random, are written to a temporary folder (in DIR) and mapped into memory as measuring
maps them; all of their pages are there before anything is timed. Everything runs on one thread. The floor of a measure
is the time that torch needs to add up, in float32 and tensor by tensor, the tensors that the measure reads (of the
track file, whose bytes torch adds slowly, to find the largest): each is read once, and hardly anything is computed.
Each repeat times each floor and each measure in turn, in seconds of the processor, so that neighbours count little;
ratios are those of the medians. Memory is the most that this process holds while a measure runs, beyond what it held
before and beyond files that are mapped (RssAnon, sampled; Linux).
"""

import argparse
import statistics as median
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import torch

from weight_atlas import networks, store
from weight_atlas.analysis.kernels.select import kernels_for
from weight_atlas.analysis.weights import correlation, movement, statistics, tolerance, unchanged


def files(table, folder: Path) -> list[Path]:
    """Two snapshots and a track file: a third of the parameters are equal in both, with any evidence."""
    draw = torch.Generator().manual_seed(0)
    start = {name: torch.randn(shape, generator=draw) * 0.02 for name, shape in table.parameters()}
    last, bits = {}, {}
    for name, values in start.items():
        step = torch.randn(values.shape, generator=draw) * 1e-4
        last[name] = torch.where(torch.rand(values.shape, generator=draw) < 1 / 3, values, values + step)
        bits[name] = torch.randint(4, values.shape, dtype=torch.uint8, generator=draw)
    paths = [folder / f"{name}.safetensors" for name in ("start", "last", "track")]
    for path, tensors in zip(paths, (start, last, bits), strict=True):
        store.save_tensors(path, tensors)
    return paths


def read(*snapshots) -> None:
    """Read every number once."""
    for snapshot in snapshots:
        for tensor in snapshot.values():
            tensor.max() if tensor.dtype == torch.uint8 else tensor.sum()


def sides(table, start, last, bits) -> dict:
    """{measure: (what computes it, the files that it reads)}."""
    names, kernels = [name for name, _ in table.parameters()], kernels_for(table.parameter_count)
    return {
        "statistics": (lambda: statistics.rows(table, last), (last,)),
        "movement": (lambda: movement.rows(table, start, last), (start, last)),
        "changed": (lambda: unchanged.rows(table, start, last), (start, last)),
        "changed, by evidence": (lambda: unchanged.rows(table, start, last, bits), (start, last, bits)),
        "changed, by tolerance": (lambda: tolerance.rows(table, start, last), (start, last)),
        "Pearson": (lambda: [correlation.pearson(start[name], last[name], kernels) for name in names], (start, last)),
    }


def memory(run) -> float:
    """MiB that a call needs at its peak, in memory that is no file's."""
    done, seen, before = threading.Event(), [], anonymous()

    def watch():
        while not done.wait(0.001):
            seen.append(anonymous())

    watching = threading.Thread(target=watch)
    watching.start()
    run()
    done.set()
    watching.join()
    return (max([*seen, anonymous()]) - before) / 1024


def anonymous() -> int:
    """This process's memory that is no file's, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


def seconds(run) -> float:
    """The processor's time of a call."""
    began = time.process_time()
    run()
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--network", default="vgg19")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    table = networks.layer_table({"architecture": args.network}, 3, 32, 10)
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        start, last, bits = (store.load_tensors(path) for path in files(table, Path(folder)))
        measures = sides(table, start, last, bits)
        first = seconds(lambda: [run() for run, _ in measures.values()])
        spent = {name: [] for name in measures}
        floor = {name: [] for name in measures}
        peaks = {name: memory(run) for name, (run, _) in measures.items()}
        for _ in range(args.repeats):
            for name, (run, snapshots) in measures.items():
                floor[name].append(seconds(lambda snapshots=snapshots: read(*snapshots)))
                spent[name].append(seconds(run))
    size = sum(tensor.nbytes for tensor in start.values()) / 1e6
    print(f"{args.network}: {table.parameter_count:,} parameters, a snapshot of {size:.0f} MB; one thread, medians of")
    print(f"{args.repeats}; the first call of each, with what numba compiles or loads, took {first:.1f} s in all")
    print("| measure | ms | floor, ms | times the floor | peak MiB beyond the files |\n" + "|---" * 5 + "|")
    for name in measures:
        ms, least = (1000 * median.median(times[name]) for times in (spent, floor))
        print(f"| {name} | {ms:.0f} | {least:.0f} | {ms / least:.2f} | {peaks[name]:.0f} |")


if __name__ == "__main__":
    main()
