"""A grid of tiny trainings by this workflow, beside what people use instead: time and core-seconds.

    python benchmarks/runners.py [--cells 60] [--cores 2] [--repeats 5] [--hydra FOLDER]

Each side trains the same LeNet-1 for one epoch of four batches on 200 images of scikit-learn's digits, once for each of
so many learning rates, and writes accuracy and weights: a plain loop in one process (the floor), one process of a
user's script per rate (`xargs -P`), Hydra's multirun with joblib, and the workflow up to the trained cells and up to
the report. Hydra is none of this project's packages: give the folder of

    pip install --target FOLDER --no-deps hydra-core hydra-joblib-launcher joblib omegaconf \\
        antlr4-python3-runtime==4.9.3

The sides take turns; medians.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import processes
import tiny_cells
import tour

# What a user would write: the network, the data and the optimizer of tiny_cells.py.
SCRIPT = """
import json, sys
from pathlib import Path
import torch
from sklearn.datasets import load_digits
from torch.nn import Conv2d, CrossEntropyLoss, Flatten, Linear, MaxPool2d, ReLU, Sequential

def train(rate, folder):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    digits = load_digits()
    images = torch.nn.functional.pad(torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16, (4, 4, 4, 4))
    labels = torch.tensor(digits.target)
    model = Sequential(Conv2d(1, 4, 5), ReLU(), MaxPool2d(2), Conv2d(4, 12, 5), ReLU(), MaxPool2d(2), Flatten(),
                       Linear(12, 10))
    optimizer, loss = torch.optim.SGD(model.parameters(), lr=rate), CrossEntropyLoss()
    for batch in torch.randperm(200).split(50):
        optimizer.zero_grad()
        loss(model(images[batch]), labels[batch]).backward()
        optimizer.step()
    with torch.no_grad():
        accuracy = (model(images[200:600]).argmax(1) == labels[200:600]).float().mean().item()
    Path(folder).mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), f"{folder}/model.pt")
    Path(folder, "metrics.json").write_text(json.dumps({"rate": rate, "accuracy": accuracy}))
"""
LOOP = SCRIPT + "\nfor rate in map(float, sys.argv[1:]):\n    train(rate, f'runs/{rate}')\n"
HYDRA = (
    f"import hydra\n{SCRIPT}\n"
    + """
@hydra.main(version_base=None, config_path=".", config_name="config")
def main(config):
    train(config.rate, ".")

main()
"""
)


def user(folder: Path, rates: list[str], cores: int) -> list[str]:
    """A process of the script for each rate, as many at a time as there are cores."""
    (folder / "script.py").write_text(LOOP)
    words = f"printf '%s\\n' {' '.join(rates)} | xargs -P {cores} -n 1 {sys.executable} script.py"
    return ["bash", "-c", words]


def loop(folder: Path, rates: list[str], cores: int) -> list[str]:
    """All rates in one process, one after another."""
    (folder / "script.py").write_text(LOOP)
    return [sys.executable, "script.py", *rates]


def hydra(packages: Path) -> Callable[[Path, list[str], int], list[str]]:
    """Hydra's multirun over the rates, by joblib, whose processes are as many as there are cores."""

    def command(folder: Path, rates: list[str], cores: int) -> list[str]:
        (folder / "script.py").write_text(HYDRA)
        (folder / "config.yaml").write_text("rate: 0.1\n")
        words = ["--multirun", "hydra/launcher=joblib", f"hydra.launcher.n_jobs={cores}", f"rate={','.join(rates)}"]
        return ["env", f"PYTHONPATH={packages}", sys.executable, "script.py", *words]

    return command


def workflow(*words: str, preload: bool = True) -> Callable[[Path, list[str], int], list[str]]:
    """This workflow, up to what the words say."""

    def command(folder: Path, rates: list[str], cores: int) -> list[str]:
        root = tour.copied(folder / "workflow")
        (root / "tiny.json").write_text(json.dumps(tiny_cells.config(len(rates)) | {"preload": preload}))
        asked = ["-s", f"{root}/Snakefile", "--directory", str(root), "--workflow-profile", f"{root}/profiles/default"]
        asked += ["--configfile", f"{root}/tiny.json", "--cores", str(cores), "--quiet", "all"]
        return [sys.executable, "-m", "snakemake", *asked, *words]

    return command


def run(side: Callable[[Path, list[str], int], list[str]], cells: int, cores: int) -> tuple[float, float]:
    """(seconds, core-seconds) of a side, in a new folder; what it says where it fails."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = side(folder, [str(round(0.001 * n, 3)) for n in range(1, cells + 1)], cores)
        began = time.monotonic()
        try:
            used = processes.core_seconds(command, folder=folder)
        except subprocess.CalledProcessError as error:
            sys.exit(f"runners.py: {' '.join(command[:4])} .. ended with {error.returncode}")
        return time.monotonic() - began, used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cells", type=int, default=60)
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--hydra", type=Path, help="a folder with Hydra and its joblib launcher")
    args = parser.parse_args()
    sides = {"a loop in one process": loop, "a process a rate": user}
    sides |= {"Hydra's multirun, joblib": hydra(args.hydra.resolve())} if args.hydra else {}
    sides["here, up to the trained cells"] = workflow("--until", "train")
    sides["the same, each job for itself"] = workflow("--until", "train", preload=False)
    sides["here, with measures and report"] = workflow()
    runs = {name: partial(run, side, args.cells, args.cores) for name, side in sides.items()}
    print(f"{args.cells} cells of lenet1, one epoch on 200 images each, {args.cores} cores, medians of {args.repeats}")
    print("| Side | s | Core-seconds | Core-seconds a cell |\n| --- | ---: | ---: | ---: |")
    for name, (wall, used) in processes.in_turns(runs, args.repeats).items():
        print(f"| {name} | {wall:.1f} | {used:.1f} | {used / args.cells:.2f} |")


if __name__ == "__main__":
    main()
