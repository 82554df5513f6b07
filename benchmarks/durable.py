"""What it costs that weights survive a power cut and are trusted by their digests: 560 MB in one snapshot.

    python benchmarks/durable.py [--megabytes 560] [--repeats 5] [--folder results]

Each repeat writes the snapshot without waiting for the disk, writes it as the workflow does, and computes its SHA-256,
in turn.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np

from weight_atlas import store


def seconds(work) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--megabytes", type=int, default=560)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("results"), help="on the disk that is measured")
    chosen = parser.parse_args()
    tensors = {"weights": np.random.default_rng(0).standard_normal(chosen.megabytes * 250_000, dtype=np.float32)}
    chosen.folder.mkdir(exist_ok=True)
    found = {"written": [], "written and flushed": [], "SHA-256": []}
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        path = Path(folder) / "epoch_0.safetensors"
        for _ in range(chosen.repeats):
            with mock.patch.object(store, "flush"):
                found["written"].append(seconds(lambda: store.save_tensors(path, tensors)))
            store.flush(path)  # so that the next write does not wait for this one
            path.unlink()
            found["written and flushed"].append(seconds(lambda: store.save_tensors(path, tensors)))
            found["SHA-256"].append(seconds(lambda: store.sha256(path)))
            path.unlink()
    base = statistics.median(found["written"])
    print(f"{chosen.megabytes} MB, medians of {chosen.repeats}:")
    for what, times in found.items():
        print(f"{what:20} {statistics.median(times):6.2f} s   {statistics.median(times) / base:5.2f} x")


if __name__ == "__main__":
    main()
