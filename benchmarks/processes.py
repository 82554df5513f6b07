"""What a training process costs beside its training: its start, and what replicates save that share one.

    python benchmarks/processes.py [--repeats 5]

Start: core-seconds of a training of one step, from its launcher on, beside those of a Python that imports torch and
makes one step of an optimizer. Replicates: eight short ones of LeNet-5 (digits, 2 epochs) in one process, beside eight
processes.
"""

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

BARE = """
import torch
model = torch.nn.Linear(2, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
model(torch.zeros(1, 2)).sum().backward()
optimizer.step()
"""
CONFIG = {
    "name": "speed",
    "device": "cpu",
    "replicates": 8,
    "networks": {"lenet5": {}},
    "optimizers": {"sgd": {"type": "sgd", "lr": 0.02}},
    "datasets": {
        "digits": {"source": "digits"},
        "few": {"source": "digits", "per_class": {"train": 1, "valid": 1, "test": 1}},
    },
    "definitions": {
        "dynamics": {
            "grid": {"dataset": ["digits", "few"], "network": ["lenet5"], "init": ["default"], "optimizer": ["sgd"]}
        }
    },
    "training": {"epochs": 2, "batch_size": 64, "snapshots": "ends"},
}


def core_seconds(*commands: list[str], folder: Path = ROOT) -> float:
    """What these commands use in a folder, one after another, with all that they start."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for command in commands:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def in_turns(sides: Mapping[str, Callable[[], tuple[float, float]]], repeats: int) -> dict[str, tuple[float, float]]:
    """The medians of (seconds, core-seconds) of some sides, which take turns."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, side in sides.items():
            found[name].append(side())
    return {
        name: (statistics.median(wall for wall, _ in rows), statistics.median(used for _, used in rows))
        for name, rows in found.items()
    }


def prepared(folder: Path) -> dict[str, tuple[str, dict]]:
    """{data set: (cell id, settings)} with the data sets in `folder`."""
    from weight_atlas import store
    from weight_atlas.datasets.prepare import prepare_dataset
    from weight_atlas.plan import study

    plan = study.Plan(CONFIG)
    for name, data in plan.datasets.items():
        store.write_json(
            folder / f"{name}.json", prepare_dataset(data.spec, name, Path(), folder / f"{name}.safetensors")
        )
    return {cell.data.label: (cell_id, cell.settings.json) for cell_id, cell in plan.cells.items()}


def training(folder: Path, cell_id: str, settings: dict, first: int, last: int, device: str = "cpu") -> list[str]:
    """The command that trains these replicates of a cell."""
    out = folder / "cells" / cell_id / f"seeds_{first}-{last}"
    shutil.rmtree(out, ignore_errors=True)
    data = folder / settings["dataset_id"]
    words = [
        sys.executable,
        "scripts/train.py",
        "--cell-id",
        cell_id,
        "--cell",
        json.dumps(settings),
        "--device",
        device,
    ]
    words += ["--data", f"{data}.safetensors", "--card", f"{data}.json"]
    return [*words, "--output", str(out), "--log", str(folder / "log")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    found = {"bare": [], "start": [], "together": [], "apart": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cells = prepared(folder)
        one = cells["few"][0], cells["few"][1] | {"training": cells["few"][1]["training"] | {"epochs": 1}}
        one[1]["training"]["stages"] = [one[1]["training"]["stages"][0] | {"epochs": 1}]
        for _ in range(repeats):
            found["bare"].append(core_seconds([sys.executable, "-c", BARE]))
            found["start"].append(core_seconds(training(folder, *one, 0, 0)))
            found["together"].append(core_seconds(training(folder, *cells["digits"], 0, 7)))
            found["apart"].append(core_seconds(*(training(folder, *cells["digits"], k, k) for k in range(8))))
    bare, start, together, apart = (statistics.median(side) for side in found.values())
    rows = [
        ("a training of one step, beside importing torch and one step", start, bare, f"{start - bare:+.2f}"),
        ("8 short replicates in one process, beside 8 processes", together, apart, f"{together / apart:.2f} x"),
    ]
    print(f"core-seconds, medians of {repeats}")
    print("| what | one side | the other | |")
    print("| --- | ---: | ---: | ---: |")
    for what, one_side, other, told in rows:
        print(f"| {what} | {one_side:.2f} | {other:.2f} | {told} |")


if __name__ == "__main__":
    main()
