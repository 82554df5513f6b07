"""Count the weights of each trained replicate that lie near zero."""

import argparse
import csv
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", required=True, type=Path, help="cells.csv")
    parser.add_argument("--blocks", required=True, nargs="+", type=Path, help="the run.json of each block")
    parser.add_argument("--threshold", required=True, type=float)
    parser.add_argument("--output", required=True, type=Path)
    args = parser.parse_args()
    with open(args.cells, newline="", encoding="utf-8") as file:
        labels = {row["cell_id"]: row["optimizer"] for row in csv.DictReader(file)}
    with open(args.output, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["optimizer", "seed", "share"])
        for path in args.blocks:
            run = json.loads(path.read_text(encoding="utf-8"))
            for replicate in run["replicates"]:
                name = f"snapshots/seed{replicate['seed']}/epoch_{replicate['epochs']}.safetensors"
                weights = load_file(path.parent / name)
                values = np.concatenate([one.ravel() for key, one in weights.items() if key.endswith("weight")])
                share = float((np.abs(values) < args.threshold).mean())
                writer.writerow([labels[run["cell_id"]], replicate["seed"], f"{share:.4f}"])


if __name__ == "__main__":
    main()
