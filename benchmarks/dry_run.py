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

MACHINE = {"seeds": [], "device": None, "device_name": None, "threads": 1, "versions": {}}
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
    """Every output of the plan: the data set as it is, and the others as small files that say what must be there."""
    from weight_atlas import store
    from weight_atlas.datasets.prepare import prepare_dataset
    from weight_atlas.plan import recipe, study
    from weight_atlas.plan.pages import pages

    plan = study.Plan(settings, root)
    for name, data in plan.datasets.items():
        card = prepare_dataset(data.spec, name, root, root / f"data/{name}.safetensors")
        made_from = recipe.dataset(data.spec, card["fingerprint"])
        store.write_json(root / f"data/{name}.json", card | {"recipe": made_from})
    for cell_id, blocks in plan.blocks.items():
        cell = plan.cells[cell_id]
        made_from = recipe.block(cell.settings, root / f"data/{cell.settings.dataset_id}.json", None, [], [])
        for first, last in blocks:
            path = root / study.block_path(cell_id, (first, last))
            (path / "snapshots").mkdir(parents=True)
            ended = {"status": "done", "cause": None, "epochs": 1, "best_epoch": 1, "sha256": {}, "recipe": made_from}
            replicates = [{"seed": seed, **ended} for seed in range(first, last + 1)]
            run = {"cell_id": cell_id, "kind": cell.kind, "replicates": replicates, "cell": cell.settings.json}
            (path / "run.json").write_text(json.dumps(run | MACHINE))
            (path / "metrics.csv").touch()
    base = root / "results/many"
    for folder in ("tables", "figures/data", "figures/grid", "report", *(f"measures/{group}" for group in plan.groups)):
        (base / folder).mkdir(parents=True)
    rendered = [f"report/{page}.{kind}" for page in pages(["grid"], "several") for kind in ("html", "qmd")]
    for file in ("cells.csv", "config.json", *rendered):
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
