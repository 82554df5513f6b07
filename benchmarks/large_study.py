"""What a large study costs once it is trained: measures, tables, figures and pages of finished cells that are copies.

    python benchmarks/large_study.py [--cells 500 1000 2000] [--cores 2] [--keep FOLDER]

Ten small trainings of LeNet-1 on the digits are done, each with three replicates. The cells of a grid of learning rates
and five starts are given their files in turn, so that nothing else is trained, and the workflow runs to the report. Of
each rule: its jobs, the sum of their seconds, and the most memory that one held, as Snakemake's benchmarks have it; of
the largest page its size.
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tour

sys.path.insert(0, str(tour.ROOT / "scripts"))

from weight_atlas import records, store  # noqa: E402
from weight_atlas.plan import recipe, study  # noqa: E402

INITS = ["kaiming_uniform", "kaiming_normal", "xavier_uniform", "xavier_normal", "default"]


def config(rates: int, inits: list[str]) -> dict:
    """A grid of so many rates and starts of LeNet-1."""
    levels = {f"{n}": {"set": {"lr": round(0.002 * n, 4)}} for n in range(1, rates + 1)}
    grid = {"dataset": ["digits"], "network": ["lenet1"], "init": inits, "optimizer": ["sgd"]}
    return {
        "name": "large",
        "device": "cpu",
        "datasets": {"digits": {"source": "digits", "per_class": {"train": 20}}},
        "networks": {"lenet1": {}},
        "optimizers": {"sgd": {"type": "sgd", "lr": 0.01, "momentum": 0.9}},
        "training": {"epochs": 2, "batch_size": 50, "snapshots": "ends"},
        "definitions": {"large": {"grid": grid, "vary": {"rate": levels}}},
    }


def snakemake(root: Path, cores: int, *words: str) -> float:
    """Seconds of a run."""
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--configfile", "large.json", *words]
    began = time.monotonic()
    done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(done.stdout[-3000:])
    return time.monotonic() - began


def copy_blocks(root: Path, settings: dict) -> None:
    """Give every cell of a plan the files of one that is trained, with a record that says it is its own."""
    plan = study.Plan(settings, root)
    blocks = {cell_id: root / study.block_path(cell_id, own[0]) for cell_id, own in plan.blocks.items()}
    trained = [path for path in blocks.values() if (path / "run.json").exists()]
    for number, (cell_id, block) in enumerate(blocks.items()):
        if block in trained:
            continue
        made = trained[number % len(trained)]
        shutil.copytree(made, block, copy_function=os.link)
        (block / "run.json").unlink()
        cell = plan.cells[cell_id]
        own = recipe.block(cell.settings, root / f"data/{cell.settings.dataset_id}.json", None, [], [])
        record = records.read(made)
        for replicate in record["replicates"]:
            replicate["recipe"] = own
        store.write_json(block / "run.json", record | {"cell_id": cell_id, "cell": cell.settings.json})
        metrics = (made / "metrics.csv").read_text()
        (block / "metrics.csv").unlink()
        (block / "metrics.csv").write_text(metrics.replace(record["cell_id"], cell_id))


def spent(root: Path) -> dict[str, tuple[int, float, float]]:
    """{rule: (jobs, their seconds, MB of the largest)}."""
    found: dict[str, list[tuple[float, float]]] = {}
    for path in (root / "logs/benchmarks").rglob("*.tsv"):
        rule = path.relative_to(root / "logs/benchmarks").parts[0]
        with open(path, newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                found.setdefault(rule, []).append((float(row["s"]), float(row["max_rss"].replace("NA", "0"))))
    return {rule: (len(rows), sum(s for s, _ in rows), max(mb for _, mb in rows)) for rule, rows in found.items()}


def run(cells: int, cores: int, keep: Path | None) -> None:
    """Print the rows of a study of so many cells; keep: the folder that its results are copied to, to be looked at."""
    with tempfile.TemporaryDirectory() as folder:
        root = tour.copied(Path(folder) / "large")
        (root / "large.json").write_text(json.dumps(config(2, INITS)))
        snakemake(root, cores, "--until", "train")
        settings = config(cells // len(INITS), INITS)
        (root / "large.json").write_text(json.dumps(settings))
        copy_blocks(root, settings)
        shutil.rmtree(root / "logs/benchmarks")
        seconds = snakemake(root, cores)
        pages = {path.name: path.stat().st_size / 1e6 for path in (root / "results/large/report").glob("*.html")}
        page = max(pages, key=lambda name: pages[name])
        for rule, (jobs, used, memory) in sorted(spent(root).items()):
            print(f"| {cells:,} | {rule} | {jobs} | {used:.1f} | {memory:.0f} | {1000 * used / cells:.1f} |")
        print(f"{cells:,} cells: {seconds:.0f} s; the largest page, {page}, has {pages[page]:.1f} MB", flush=True)
        if keep:
            shutil.copytree(root / "results/large", keep / f"{cells}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cells", type=int, nargs="+", default=[500, 1000, 2000])
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--keep", type=Path, help="a folder for the results")
    args = parser.parse_args()
    print("| Cells | Rule | Jobs | s | MB | ms a cell |\n| ---: | --- | ---: | ---: | ---: | ---: |")
    for cells in args.cells:
        run(cells, args.cores, args.keep)


if __name__ == "__main__":
    main()
