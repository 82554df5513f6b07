"""How long a dry run of many cells takes, on an empty tree and on a finished one.

    python benchmarks/dry_run.py [--cells 5000] [--repeats 5]

The workflow is copied to a temporary directory. The finished tree is pretended: every output that the plan names is
written as a small file and recorded by `snakemake --touch`, so that the second dry run checks all of them.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("Snakefile", "rules", "scripts", "report", "profiles", "envs")
sys.path.insert(0, str(ROOT / "scripts"))


def config(cells: int) -> dict:
    """A grid of so many cells: 2 networks x 2 inits x as many learning rates as it takes."""
    rates = {f"sgd{n}": {"type": "sgd", "lr": 0.001 * (n + 1)} for n in range(cells // 4)}
    grid = {
        "dataset": ["digits"],
        "network": ["lenet1", "lenet5"],
        "init": ["kaiming_uniform", "kaiming_normal"],
        "optimizer": list(rates),
    }
    return {
        "name": "many",
        "device": "cpu",
        "datasets": {"digits": {"source": "digits"}},
        "networks": {"lenet1": {}, "lenet5": {}},
        "optimizers": rates,
        "definitions": {"grid": {"grid": grid}},
    }


def snakemake(root: Path, *arguments: str) -> tuple[float, str]:
    command = [sys.executable, "-m", "snakemake", *arguments, "--cores", "2", "--configfile", "many.json"]
    began = time.monotonic()
    done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(done.stdout[-3000:])
    return time.monotonic() - began, done.stdout


def pretend(root: Path, settings: dict) -> None:
    """Every output of the plan as a small file."""
    from weight_atlas.plan import study

    plan = study.Plan(settings, root)
    card = {"classes": [str(n) for n in range(10)], "channels": 1, "size": [28, 28]}
    card["counts"] = {split: [10] * 10 for split in ("train", "valid", "test")}
    for dataset in plan.datasets:
        (root / "data").mkdir(exist_ok=True)
        (root / f"data/{dataset}.json").write_text(json.dumps(card))
        (root / f"data/{dataset}.safetensors").touch()
    for cell, blocks in plan.blocks.items():
        for block in blocks:
            path = root / study.block_path(cell, block)
            (path / "snapshots").mkdir(parents=True)
            (path / "run.json").write_text('{"replicates": []}')
            (path / "metrics.csv").touch()
    base = root / "results/many"
    for folder in ("tables", "figures/data", "figures/grid", "report", *(f"measures/{group}" for group in plan.groups)):
        (base / folder).mkdir(parents=True)
    for file in ("cells.csv", "config.json", "report/report.html", "report/report.qmd"):
        (base / file).touch()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cells", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for part in PARTS:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, root / part)
        (root / "many.json").write_text(json.dumps(config(args.cells)))
        empty = [snakemake(root, "--dry-run", "--quiet")[0] for _ in range(args.repeats)]
        pretend(root, config(args.cells))
        snakemake(root, "--touch", "--quiet")
        finished, last = [], ""
        for _ in range(args.repeats):
            seconds, last = snakemake(root, "--dry-run")
            finished.append(seconds)
        print(f"cells {args.cells}, repeats {args.repeats}")
        print(f"empty tree     median {statistics.median(empty):.1f} s  ({min(empty):.1f} to {max(empty):.1f})")
        print(
            f"finished tree  median {statistics.median(finished):.1f} s  ({min(finished):.1f} to {max(finished):.1f})"
        )
        print(
            "finished tree says:",
            next((line for line in last.splitlines() if "othing to be done" in line), last[-2000:]),
        )


if __name__ == "__main__":
    main()
